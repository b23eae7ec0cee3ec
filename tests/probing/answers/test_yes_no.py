"""Free answers to questions of yes or no: a table of hard cases, and laws."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audioprobe.probing.answers import parse_yes_no

CASES = {
    "yes": [
        "Yes, it is wrong to say that a crow is a fish.", "The answer to your question is yes.",
        "Yes, 99.5 %", "There is no doubt that it is a bird.",
        "Yes.", "YES!", "**Yes**", "\"Yes\"", "Yes, it is a bird.", "Yeah", "Correct.", "True",
        "That's right.", "It is.", "Yes, no doubt.", "Without a doubt, yes.", "I think so.",
        "I think yes.", "Probably yes.", "Most likely yes", "The answer is yes.", "Well, yes.",
        "It is a bird.", "Sí", "Oui.", "Ja!", "是的", "да", "Yes\nQuestion: is", "Indeed, it is.",
        "Answer: Yes", "A: Yes.", "Yes - a crow is not a fish, it is a bird.",
        "<think>Is it a bird? It has a beak sound. No other animal fits.</think>\nYes.",
        "<think>\n\n</think>\n\nYes", "<|im_start|>assistant\nYes.", "Yes.<|im_end|>",
        "{\"answer\": \"yes\"}", "**Answer:** Yes", "\\boxed{Yes}", "- Yes", "1. Yes", "(Yes)",
        "Yes. Is there anything else you want to know?",
        "Yes, it is. Would you like more detail?", "The answer to the question is yes.",
        "Based on the audio, yes.", "I can hear a bird.", "No problem! Yes.",
        "yes yes yes yes yes yes", "Y", "Yes!!!", "yes :)", "YES\n\n\nYES", "Yes\u200b",
        "\ufeffYes", "Ｙｅｓ", "はい。", "はい、そうです。", "是的。", "是。", "對",
        "네, 맞습니다.", "예", "Да.", "Sim.", "Sí.", "Si, es un pájaro.", "Tak.", "Evet.", "نعم",
        "हाँ", "Vâng", "Right.", "Sure thing", "Ja", "I'm afraid so.", "I would say yes",
        "I'd say it is.", "The sound is made by a bird.",
        "The sound in this recording is made by a bird.", "This sound is a bird.",
        "They are the same.", "是鸟。", "はい", "네", "yes", "Ja, das ist ein Vogel.",
        "Ja das ist richtig", "是的，这是鸟。", "はい、鳥です。", "네, 새입니다.",
        "Sí, es un pájaro.", "Es un pájaro.", "Sim, é um pássaro.", "Sì, è un uccello.",
        "Tak, to jest ptak.", "Да, это птица.", "Oui, c'est un oiseau.", "C'est un oiseau.",
        "Yes, it is.", "Yes, this is the sound of a bird.", "Yes, the sound is made by a bird.",
        "Yes, there is a bird.", "Yes, I can hear a bird singing.", "Of course.", "Certainly.",
        "Certainly! Yes.", "Sure, yes.", "Thank you! Yes. Let me know if you need anything else.",
        "Yes. Hope this helps!", "Yes, please.", "Yes, unfortunately.", "<answer>yes</answer>",
        "<answer>Yes", "{'answer': 'yes'}", "<b>Yes</b>", "[Yes]", "> Yes", "Answer - yes",
        "Yes (100% sure)", "yes, 100%", "Yes, I am sure.", "Definitely.", "Yes and yes",
        "yes, yes", "Yes — it is.", "Yes; it is a crow.", "The sound is a bird's.", "It does.",
        "It has.", "Correct, it is a bird.", "True, it is a bird.", "Exactly.", "Agreed.",
        "Absolutely!", "Yes, absolutely.", "Yes, of course!", "That's a yes.",
        "It's a yes from me.", "Kein Problem! Ja.", "是", "对，没错。", "没错", "네.",
        "예, 그렇습니다.", "そうです。", "Si.",
    ],
    "no": [
        "No, it is not wrong to say that a crow is a bird.", "No, that's not an easy one.",
        "It is not a bird of prey.", "It does not sound like a bird.",
        "It isn't made by a bird.", "There is no bird in this recording.",
        "It is not produced by a bird.",
        "No.", "no", "Nope", "No, it is not.", "False", "It is not.", "It isn't a bird.",
        "Not really.", "I don't think so.", "I do not believe it is.", "Probably not.",
        "Not at all.", "No, it is a dog.", "Certainly not!", "No, that is a dog.", "Nein", "Нет",
        "不是", "いいえ", "This is not a bird.", "The answer is no.", "No doubt: no.",
        "Incorrect.", "<think>Hmm, it could be a dog.</think> No.",
        "```json\n{\"answer\": \"no\"}\n```", "Answer: **No**", "ANSWER: $No$",
        "Final answer: No", "### Answer\nNo", "[No]", "No. Can I help you with something else?",
        "The correct answer is: No.", "Based on the audio, the answer is no.",
        "In this recording, there is no bird.", "There's no bird.", "I hear no bird.",
        "I do not hear a bird.", "I don't hear a bird.", "It is false.",
        "That is wrong.", "That's not right.",
        "There is nothing to hear.", "no no no no no no no", "N", "いいえ、違います。", "不是。",
        "不，不是鸟。", "没有", "不对", "아니요, 새가 아닙니다.", "아니오", "아뇨",
        "Нет, это собака.", "Nein.", "Não.", "Hayır.", "HAYIR", "لا", "नहीं", "không",
        "Nie, to nie jest ptak", "I'm afraid not.", "I'd say no.",
        "It doesn't sound like a bird.", "It does not.", "The sound is not made by a bird.",
        "The sound in this recording is not made by a bird.", "This sound is not a bird.",
        "They are not the same.", "That is not correct.", "There does not appear to be a bird.",
        "Sure, no.", "Indeed not.", "Certainly not", "Absolutely not, no way", "Definitely no",
        "Absolutely no.", "Of course no", "Sure not", "Nie ma ptaka", "Tak nie jest", "不是鸟。",
        "There is no bird.", "There is no sound of a bird in this recording.", "It is no bird.",
        "There are no birds.", "It was never a bird.", "That is incorrect.", "That's wrong.",
        "This is false.", "It is unlikely.", "It is absent.", "Exactly the opposite.",
        "I don't think it is a bird", "I don't think it's a bird.",
        "I do not believe that this is a bird.", "No, it's not a bird.",
        "No, it's a drum, not a bird.", "Non, ce n'est pas un oiseau.",
        "Nein, das ist kein Vogel", "Nein, es ist kein Vogel, sondern ein Hund.",
        "Das ist kein Vogel.", "Das stimmt nicht.", "Nicht wirklich.",
        "Ich glaube nicht, dass es ein Vogel ist.", "不是鸟", "这不是鸟。", "不，这是狗。",
        "いいえ、鳥ではありません", "鳥ではありません。", "아니요, 새가 아닙니다",
        "새가 아닙니다.", "아니요, 개입니다.", "No, no es un pájaro.", "No es un pájaro.",
        "No, es un perro.", "Não, não é um pássaro.", "Não é um pássaro.",
        "No, non è un uccello.", "Non è un uccello.", "Nie, to nie jest ptak.",
        "To nie jest ptak.", "Nie ma ptaka.", "Нет, это не птица.", "Это не птица.",
        "Ce n'est pas un oiseau.", "Je ne pense pas.", "Non, c'est un chien.",
        "No, the sound is not made by a bird.", "No, there is no bird in this recording.",
        "No, I don't hear a bird.", "No, I did not hear it.", "Of course not.",
        "Great question! No.", "No. Please let me know if you need more.", "No, thank you.",
        "No, it is not a bird but a dog.", "No bird.", "No birds here.", "Not that I can hear.",
        "Not likely.", "Unfortunately, no.", "Not a yes.", "<answer>No</answer>",
        "{\"answer\": false}", "{\"label\": \"No\", \"confidence\": 0.3}",
        "No, I am sure it isn't.", "No. I'm certain.", "Never.", "No and no", "no no",
        "There isn't a bird.", "There aren't any birds.", "There is not a single bird.",
        "Isn't a bird.", "They aren't birds.", "It doesn't.", "Incorrect, it is a dog.",
        "False, it is a dog.", "Wrong.", "Absolutely not!", "No, of course not.", "No way!",
        "Nah, it's a dog", "That's a no.", "It's a no.", "Es gibt keinen Vogel.",
        "Ich höre keinen Vogel.", "Nie.", "不", "不是的，是狗。", "不对，这是狗的声音。",
        "没有鸟。", "并没有", "這不是鳥", "그렇지 않습니다.", "違います。",
        "そうではありません。", "Non.", "Hayır", "Nej",
    ],
    "invalid": [
        "No, that is not incorrect.", "No question.", "No kidding.", "Not a problem.",
        "There is no denying it.", "It is not a lie.", "Keine Frage.", "Kein Wunder.",
        "No cabe duda.", "No hay de qué.", "Non c'è dubbio.", "Nie ma za co.", "Не за что.",
        "Это не ошибка.", "Das ist kein Fehler.", "문제없습니다", "새가 아닐 수 없습니다",
        "間違いありません", "不客气",
        "", " ", "...", "Yes and no.", "Yes or no", "yes/no", "Maybe.", "Perhaps it is.",
        "A bird.", "Is it a bird?", "I don't know.", "I cannot tell.", "It could be a bird.",
        "It depends.", "I'm not sure.", "No, yes.", "Yes, it is not.", "No idea.",
        "Could you repeat that?", "As a language model I cannot hear.", "The sound of rain.",
        "Yesterday it rained.", "Nobody knows.", "Not sure.", "Sorry, I can't help with that.",
        "I have no idea.", "Norwegian", "No, it is.", "Yes? No?", "Possibly yes", "No, maybe.",
        "<think>The sound is made by a bird, so I should say", "A bird is not a fish.",
        "A crow is a bird.", "Yes... no, wait, it is a dog.", "No. Yes.",
        "No, actually, yes it is.", "It is a dog, not a bird.", "It is unclear.",
        "It is hard to say.", "It is difficult to determine.",
        "It is impossible to determine from the audio.", "It is possible.",
        "It is a question of taste.", "It is neither.",
        "Not only is it a bird, it is a song bird.", "Not sure", "Not specified",
        "No information is given.", "No sound is provided.", "No answer.", "No comment.", "N/A",
        "None", "Sure! I can help with that. Please upload the audio.",
        "Correct me if I'm wrong, but no.", "True or false?", "False. It is true that",
        "Yes or no: yes", "有", "不知道", "不确定", "不清楚", "是不是鸟？", "Не знаю",
        "Nicht sicher", "No-one knows.", "Right channel only.", "Negative numbers",
        "True positives", "It sounds like a bird.", "Doesn't sound like it.",
        "A crow is not a bird.", "A crow isn't a fish.", "Yes, a crow is not a fish.",
        "Yes; however, it isn't certain.", "Yes, I cannot hear a bird.", "Yes, maybe.",
        "Maybe yes", "Yes, I'm not sure though.", "It is silent.", "It isn't clear.",
        "It is not certain.", "It does not say.", "This is a recording of rain.",
        "There is an error.", "There is no way to know.", "It was denied.", "Correct: no.",
        "Yes. No.", "Yes/No", "Never. Yes.", "Yes it isn't", "Yes, that's false.",
        "No, that is right.", "No, it is true.", "True. False.", "Right? No.", "Hai un uccello",
        "Si no me equivoco, no.", "Sim não", "Da liegt ein Hund.", "Si tratta di un cane",
        "Ja nein", "不好说", "不一定", "不太确定", "是吗", "否则", "예를 들어", "はいいえ",
        "不明", "无法判断", "There is no audio.", "It is impossible to determine.",
        "This is a difficult question.", "There is insufficient information.",
        "Sure, please provide the audio.", "Certainly! Please share the recording.",
        "Absolutely, but I need the recording first.", "Right now I cannot hear anything.",
        "No audio was provided.", "No sound was given, so I cannot answer.",
        "Not enough information.", "Not applicable.", "No way to tell.",
        "It is not possible to tell.", "It is not clear.", "Never mind.",
        "Non-vocal sounds are heard.", "Hai un uccello.", "Si tratta di un cane.", "Yes, but no.",
        "Yes, but actually no.", "No, wait: yes.", "No. Actually yes.", "Yes Yes No Yes Yes",
        "Right, but no.", "True/False", "Yes? No.", "Yes, that is wrong.", "No, that's correct.",
        "Yes (maybe).", "No, I'm not sure.", "<-", "I don't think that's right.",
        "I don't think it isn't a bird", "It's not impossible", "Not a bird, a drum",
        "Yes, it's not a drum", "Yes, it's a bird, not a drum.", "Oui, ce n'est pas un tambour.",
        "Es ist kein Vogel, sondern ein Hund.", "Vielleicht.", "Ich weiß es nicht.",
        "是的，这不是鸟。", "这可能是鸟", "我不知道", "我听不到任何声音",
        "はい、鳥ではありません。", "わかりません", "네, 새가 아닙니다.", "모르겠습니다",
        "잘 모르겠어요", "No lo sé.", "Quizás sí.", "Não sei.", "Non lo so.", "Non so.",
        "Non posso dirlo", "Nie wiem.", "Не знаю.", "Возможно, да.", "Нет, но возможно.",
        "Je ne sais pas.", "Peut-être.", "Ce n'est pas impossible.", "No, I cannot hear a bird.",
        "No, I can't hear a bird.", "Sure.", "Sure!", "No thanks.",
        "It is a bird that cannot fly.", "It is a bird which does not sing.",
        "It is a bird without a nest.", "It's a bird, isn't it?", "It is not not a bird.",
        "It is not a bird but a dog.", "That's not wrong.", "That isn't false.",
        "That's not untrue.", "It isn't unlikely.", "Nothing.", "Unfortunately not.",
        "The answer is not yes.", "The answer is not no.", "The answer is neither yes nor no.",
        "I can't say yes.", "I wouldn't say yes.", "I wouldn't say no.",
        "I would not say it is a bird.", "I can't say no", "I won't say yes", "It's not a no.",
        "Not yes.", "No is the wrong answer.", "\"Yes\" is wrong.", "Yes is not the answer.",
        "Yes would be wrong", "Saying yes would be incorrect.", "If I had to guess, yes.",
        "I am not certain it is a bird.", "I am certain it is not a bird.",
        "I'm sure it is a bird.", "Definitely a bird.", "Hardly.", "Barely", "Both yes and no",
        "yes no", "Yes. No, wait.", "Yes. Sorry, no.", "Sorry, no.", "It ain't a bird.",
        "That's right, it's not a drum.", "Right, it isn't.", "yes it's not",
        "Yes, but it is very faint.", "I hear nothing", "Silence.", "It is likely.",
        "Highly unlikely", "That would be a no.", "The statement is true.",
        "The statement is false.", "The statement is not true.", "The claim is incorrect.",
        "Es gibt kein Problem, ja.", "Keine Ahnung.", "Ich kann keinen Vogel hören.",
        "Ich höre einen Vogel.", "Jein", "Doch.", "Doch, das ist ein Vogel.", "O", "没有声音。",
        "はい、そうではありません。", "これは鳥の声です。", "それは違います。", "たぶんはい",
        "Да, но нет.", "Нет, да.", "Да нет", "Да нет, наверное.", "Tak, ale nie.", "Tak nie.",
        "Sí, no.", "Oui et non.", "Ja und nein.", "Sim e não.", "Sì e no.", "はいといいえ",
        "是或者不是", "Ne",
    ],
}  # fmt: skip

ASIDES = [
    "It is wrong to say that.", "Es ist nicht laut genug.", "Das ist keine einfache Frage.",
    "Das ist keine Frage.", "Ce n'est pas clair.", "Ce n'est pas une question facile.",
    "No es una pregunta fácil.", "No está claro.", "Non è chiaro.", "Não está claro.",
    "Não é uma pergunta fácil.", "Non è una domanda facile.", "To nie jest jasne.",
    "To nie jest łatwe pytanie.", "Это не ясно.", "Это не простой вопрос.",
    "Il n'y a pas de réponse.", "Il n'y a pas de réponse claire.", "No hay respuesta clara.",
    "Não há resposta.", "Non c'è risposta.", "Nie ma odpowiedzi.", "Нет ответа.", "没有办法判断。",
    "没有把握。", "没有依据。", "没有人知道。", "不是很清楚。", "这不是一个简单的问题。",
    "簡単ではありません。", "明らかではありません。", "十分ではありません。", "方法はありません。",
    "答えはありません。", "알 방법이 없습니다.", "답이 없습니다.", "근거가 없습니다.",
    "쉬운 질문이 아닙니다.", "Das ist nicht eindeutig.", "Das ist nicht einfach.",
    "Das ist nicht leicht zu sagen.", "Ce n'est pas facile à dire.", "Ce n'est pas évident.",
    "No es fácil saberlo.", "Non è facile dirlo.", "Não é fácil dizer.", "To nie jest łatwe.",
    "Это нелегко сказать.", "Es gibt keine Möglichkeit, das zu sagen.", "Es gibt keinen Hinweis.",
    "Il n'y a aucun moyen de le savoir.", "No hay manera de saberlo.", "Não há como saber.",
    "Non c'è modo di saperlo.", "Nie ma jak tego sprawdzić.", "Нет возможности определить.",
    "Нет уверенности.", "Das Geräusch ist nicht zu erkennen.", "Le son n'est pas assez fort.",
    "El sonido no es lo suficientemente claro.", "Il suono non è abbastanza chiaro.",
    "Dźwięk nie jest wyraźny.", "Звук не слышен.", "Das schließt einen Vogel nicht aus.",
    "Cela n'exclut pas un oiseau.", "Eso no excluye un pájaro.", "Es ist kein Geheimnis.",
    "Kein Plan.", "Kein Kommentar.", "Keine Chance.", "Pas de chance.", "Pas de commentaire.",
    "Aucun problème.", "Aucune chance.", "Ningún problema.", "Nessun problema.",
    "Nenhum problema.", "Żaden problem.", "Нет смысла.", "Нет слов.", "Нет проблем.", "没有问题。",
    "沒問題", "ничего страшного", "Non importa.", "No importa.", "Não importa.", "Nie szkodzi.",
    "Macht nichts.", "Das macht nichts.", "Ce n'est pas grave.", "Tant pis.", "No pasa nada.",
    "Non fa niente.", "Das tut nichts zur Sache.", "Es geht nicht.", "Das geht nicht.",
    "Ça ne marche pas.", "No funciona.", "Non funziona.", "Não funciona.", "To nie działa.",
    "Это не работает.", "Es ist nicht bekannt.", "Ce n'est pas précisé.", "No se especifica.",
    "Non è specificato.", "Não foi especificado.", "Nie podano.", "Не указано.", "未说明。",
    "記載がありません。", "The question isn't clear.", "There isn't enough.",
    "This isn't something I can judge.", "It isn't up to me.", "That is not how it works.",
    "That is not for me to say.", "This is not within my capabilities.",
    "It is not within my abilities.", "It's not something I can determine.",
    "This is not a question I can answer.", "That's not a valid question.",
    "It is not a yes or no question.", "There are no sounds.", "There is no sound.",
    "There is no context.", "There is no birdsong expert.", "It isn't visible.",
    "It has not been determined.", "It was not recorded.", "It does not play.", "It didn't load.",
    "It does not open.", "It does not contain audio.", "It contains no audio.",
    "The file doesn't contain any audio.", "The audio is not playing.", "The audio does not load.",
    "The clip is not long enough.", "The clip has no content.", "The recording is not good.",
    "This is not ideal.", "That's not fair.", "It's not funny.", "That is not polite.",
    "There's no rush.", "There is no hurry.", "There's no such thing as certainty.",
    "It is no trouble.", "It's no use.", "It's no bother.", "It's not a big deal.",
    "That's no excuse.", "I hear no answer.", "I do not hear you.", "I hear you.",
    "I hear a question.", "It is a pleasure.", "It is an honor.", "It is a test.",
    "It's a trick question.", "It is a tie.", "It's a coin flip.", "It is a maybe.",
    "It is a challenge.", "It's a toss up.", "There is a chance.", "There is a possibility.",
    "There is a problem with the audio.", "There is an issue with the file.",
    "There is some noise.", "There is a limit.", "This is a placeholder.", "This is an AI.",
    "This is a conversation.", "That is a great question.", "That's a tough one.",
    "That is a tricky one.", "This is a hard one.", "It is the wrong file.",
    "It was a long recording.", "It is an empty file.", "It is a short clip.",
    "There is some uncertainty.", "There is an ambiguity.", "There is a lack of data.",
    "It is a close call.", "It is the question.", "It is an open question.",
    "It is a common mistake.", "Es ist ein Rätsel.", "Es gibt ein Problem.", "Das ist ein Test.",
    "C'est un mystère.", "C'est une erreur.", "Es un misterio.", "Hay un problema.",
    "È un problema.", "È un mistero.", "É um mistério.", "Há um problema.", "是个谜。",
    "是一个挑战。", "是未知的。", "是空的。", "是一段音频。", "是随机的。", "No speech detected.",
    "It is not that it is no bird.", "There's no telling.", "It is not loud enough.",
    "It is a sound.", "这是个好问题。", "確かではありません。", "Yes (0%)",
    "It does not exclude a bird.", "It does not rule out a bird.", "Not a clue.",
    "Not a chance to know.", "Not an easy question.", "Not the right file.",
    "Not the best recording.", "No clear answer.", "It is wrong to say that it is a bird.",
    "Yes, it is not wrong to say that.", "Yes, 5 %",
]  # fmt: skip
"""About the question, the file or the answer, whatever the copula says."""


def test_statements_about_something_else_have_no_side() -> None:
    assert {text: parse_yes_no(text) for text in ASIDES} == dict.fromkeys(ASIDES, "invalid")


@pytest.mark.parametrize("side", CASES)
def test_hard_cases(side: str) -> None:
    assert {text: parse_yes_no(text) for text in CASES[side]} == dict.fromkeys(CASES[side], side)


@given(st.text())
@example("{" * 5000 + '"a"')
@example("[" * 5000)
@example("<think>" * 500)
@example("\\boxed{" * 500)
def test_any_text_has_an_answer(text: str) -> None:
    assert parse_yes_no(text) in ("yes", "no", "invalid")


WORDS = sorted({word for texts in CASES.values() for text in texts for word in text.split()})
TEXTS = st.one_of(
    st.sampled_from([text for texts in CASES.values() for text in texts]),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join),
)
MARKUP = (
    "**{}**", "_{}_", "`{}`", "({})", "[{}]", "\"{}\"", "> {}", "# {}", "- {}", "1. {}",
    "```\n{}\n```",
    "<answer>{}</answer>", "<b>{}</b>", "\\boxed{{{}}}", "$\\text{{{}}}$", "Answer: {}",
    "**Final answer:** {}", "<think>Yes? No.</think>{}", "<|im_start|>assistant\n{}<|im_end|>",
    " \n{}\n ", "{}\u200b", "\ufeff{}",
)  # fmt: skip
COURTESY = (
    "Sure! {}", "Certainly. {}", "Of course! {}", "Great question! {}", "Thank you. {}",
    "{} Hope this helps!", "{} Is there anything else you want to know?", "{} Thanks!",
    "{} You're welcome.", "No problem! {}", "Gerne! {}", "Merci. {}", "Claro. {}", "好的。{}",
    "Absolutely! {}", "Definitely. {}", "{} Let me know if you need anything else.",
)  # fmt: skip


@given(TEXTS, st.sampled_from(MARKUP + COURTESY))
def test_markup_and_courtesy_never_flip_a_side(text: str, around: str) -> None:
    sides = {parse_yes_no(text), parse_yes_no(around.format(text))}
    assert not {"yes", "no"} <= sides


@pytest.mark.parametrize("around", MARKUP + COURTESY)
def test_plain_answers_keep_their_side(around: str) -> None:
    for side, texts in (
        ("yes", ("Yes.", "Yes, it is.", "Ja.", "是的。", "はい。")),
        ("no", ("No.", "No, it is not.", "Nein.", "不是。", "아니요.")),
    ):
        for text in texts:
            assert parse_yes_no(around.format(text)) == side


@given(st.sampled_from(CASES["yes"] + CASES["no"]), st.sampled_from(CASES["yes"] + CASES["no"]))
def test_both_sides_are_never_one_of_them_in_one_answer(first: str, second: str) -> None:
    bare = {"yes": "Yes.", "no": "No."}
    side = parse_yes_no(first)
    assert parse_yes_no(f"{bare[side]} {second}") in (side, "invalid")
    assert parse_yes_no(f"{second}\n{bare[side]}") in (side, "invalid")


@pytest.mark.parametrize("side", ["yes", "no"])
def test_case_and_spaces_change_nothing(side: str) -> None:
    for text in CASES[side]:
        for changed in (text.upper(), f"\t{text} \n", text.replace("'", "\u2019")):
            if "<" not in text and "{" not in text and "\\" not in text:
                assert parse_yes_no(changed) == side, changed
