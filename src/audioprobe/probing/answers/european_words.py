"""The words that decide an answer, in languages of Europe other than English."""

from audioprobe.probing.answers.english_words import Language

GERMAN = Language(
    yes="jawohl|jap|jepp|ja(?= (?:das|es|ich|dies|hier)\\b)",
    no="nein|nö|nee|nicht wirklich|keinesfalls|keineswegs|auf keinen fall",
    yes_alone="ja|richtig|stimmt|korrekt|das stimmt|das ist richtig|das ist korrekt|genau|wahr"
    "|ja genau|das ist wahr|ja,? das ist es|ich denke ja|ich glaube ja|ich glaube schon",
    no_alone="falsch|das ist falsch|nicht|stimmt nicht|das stimmt nicht|das ist nicht richtig"
    "|überhaupt nicht|gar nicht|eher nicht|ich glaube nicht|ich denke nicht|wohl kaum|unwahr",
    negations=r"nicht|nichts|kein\w*|nie|niemals|niemand|weder|ohne|nein|nö|nee|nirgend\w*",
    denials="falsch|unwahr|gegenteil|abwesend|unwahrscheinlich|inkorrekt",
    confirmations=r"(?:es|das|dies) (?:ist|sind|war|tut|stimmt)(?: es| so| richtig| wahr"
    r"| korrekt)?$"
    "|(?:es|das|dies) (?:stimmt|ist (?:richtig|wahr|korrekt))",
    statements=r"(?:es|das|dies|dieses?(?: \w+)?|(?:das|der) (?:geräusch|klang|laut|ton)"
    r"(?: in (?:der|dieser) aufnahme)?|hier|man|ich|in (?:der|dieser) aufnahme|in der aufnahme)"
    r" (?:ist|sind|war|gibt|klingt|hört|höre|hören|stammt|kommt|handelt|wird|wurde)"
    r"|kein\w* \w+$|nicht (?:ein|der|die|das)\w* |ein\w* \w+ ist",
    positives=r"(?:es|das|dies|hier) (?:ist|sind|war) (?:wirklich |sicher |wohl )?(?:eine?|der|die"
    r"|das)\b(?! (?:\w+ )?(?:frage|aufnahme|problem|fehler|schwierig\w*|audio|datei|rätsel))",
    but="aber|jedoch|allerdings|doch|moment|obwohl|beziehungsweise|vielmehr|halt|außer",
    asides=r"einfach\w*|leicht\w*|nicht (?:\w+ )?laut|deutlich\w*|eindeutig\w*|klar"
    r"|fair|schlimm|frage\w*|hinweis\w*|plan|kommentar|chance|geheimnis"
    r"|problem\w*|rätsel|test\w*|nicht zu (?:erkennen|bestimmen|sagen)|genug"
    r"|bekannt|sinn|eile|unterschied|zufall|experte\w*|geht nicht"
    r"|funktioniert|(?:macht|tut|spielt) (?:nichts|keine)|witz|ausschließ\w+"
    r"|nicht aus",
    hedges="vielleicht|möglich\\w*|unmöglich|womöglich|eventuell|unsicher|ungewiss|unklar|unbekannt"
    "|könnte\\w*|kann (?:ich |man )?(?:das |es |sein|nicht)|kann sein|weiß (?:ich )?(?:es |das )?"
    "nicht|keine ahnung|schwer zu \\w+|schwierig|kommt (?:drauf|darauf) an|jein|kaum|teils"
    "|teilweise|manchmal|nicht (?:sicher|klar|eindeutig|unbedingt|genau|immer|nur|un\\w+)|entweder"
    "|falls|wenn|ob|zweifelhaft|ähnlich|nichts anderes|tut mir leid|leider|entschuldigung"
    "|wahrscheinlich nicht|nicht auszuschließen",
    refusals="bitte (?:laden|stellen|geben|senden|schicken|teilen|spielen|warten|wiederholen)\\w*"
    "|bitte .*(?:hoch|bereit|senden|schicken)|kein\\w* (?:audio\\w*|ton|geräusch|aufnahme|datei"
    "|information\\w*|angabe\\w*|antwort|daten|zugriff|inhalt|möglichkeit|grund)"
    "|nicht (?:genug|genügend|ausreichend\\w*|hören|angegeben|bekannt|vorhanden|verfügbar|möglich"
    "|bestimm\\w*|beantwort\\w*|zutreffend|feststell\\w*|erkenn\\w*)|nichts (?:hören|gehört)"
    "|als (?:ki|sprachmodell)\\w*|höre nichts",
)

FRENCH = Language(
    yes="oui|ouais|effectivement|tout à fait|absolument oui",
    no="pas du tout|pas vraiment|absolument pas|certainement pas|bien sûr que non|que non|nenni",
    yes_alone="vrai|c'est vrai|correct|c'est correct|exact|c'est exact|exactement|en effet|c'est ça"
    "|je pense que oui|je crois que oui|bien sûr que oui",
    no_alone="non|faux|c'est faux|incorrect|ce n'est pas vrai|ce n'est pas le cas|jamais|pas"
    "|je ne pense pas|je ne crois pas|je pense que non|je crois que non",
    negations="pas|jamais|aucune?|rien|nullement|non|ni|sans|guère|personne",
    denials="faux|fausse|incorrecte?|inexacte?|contraire|absente?|improbable",
    confirmations="c'est (?:vrai|correct|exact|juste|ça|le cas)\\b|il y en a$",
    statements=r"(?:c'est|ce n'est|ce n'était|c'était|ce sont|ce ne sont|il y a|il n'y a"
    r"|il n'y avait"
    r"|j'entends|je n'entends|on entend|on n'entend|il s'agit|il ne s'agit|(?:ce|le) (?:son|bruit)"
    r"(?: dans cet enregistrement)? (?:est|n'est|vient|ne vient|provient|ne provient)"
    r"|(?:cela|ça|ceci) (?:est|n'est|ne ressemble)|une? \w+ n'est)\b|pas une? |pas d'|aucune? \w+$",
    positives=r"c'est (?:bien |sûrement |probablement )?(?:une?|le|la|l')(?! ?(?:\w+ )?(?:question"
    r"|enregistrement|problème|erreur|difficile|bonne|mystère|fichier|audio|contraire))",
    but="mais|cependant|toutefois|pourtant|attendez|plutôt|quoique|sauf|bien que",
    asides=r"faciles?|clairs?|claires?|évidente?s?|grave|questions?|réponses?"
    r"|chance|commentaire|problèmes?|raison|moyen|souci|assez|mystère|erreur"
    r"|important|simples?|marche|fonctionne|test|défi|secret|exclu\w*"
    r"|n'exclut",
    hedges="peut-être|peut être|possible\\w*|impossible|pourrait|pourraient|incertaine?|difficile"
    "|dépend|aucune idée|sais pas|pas (?:sûre?|certaine?|clair|évident|forcément|toujours"
    "|exactement|seulement|im\\w+|in\\w+)|n'est pas (?:im|in)\\w+|peux pas|peut pas|peut (?:le "
    "|la )?"
    "dire|désolée?|parfois|si c'est|éventuellement|plus ou moins|en partie|ni|rien d'autre"
    "|à peine|doute|ambigu\\w*|semblable|comme|inconnue?|partiellement",
    refusals="veuillez|pouvez-vous|pourriez-vous|s'il (?:vous|te) plaît .*|aucune? (?:audio|son"
    "|enregistrement|fichier|information|donnée|réponse|moyen|extrait)|pas (?:assez|suffisa\\w+"
    "|d'audio|d'enregistrement|de son|d'information\\w*|de réponse|entendre|accès|fourni|disponible"
    "|précisé|indiqué|possible|applicable|de fichier|capable|en mesure)|n'entends rien"
    "|en tant qu\\w*"
    "|non (?:applicable|spécifié\\w*|fourni\\w*|disponible|précisé\\w*)|rien entendre",
    concord=True,
)

SPANISH = Language(
    yes="sí|claro que sí|por supuesto que sí",
    no="claro que no|por supuesto que no|en absoluto|de ninguna manera|desde luego que no",
    yes_alone="si|cierto|es cierto|correcto|es correcto|verdadero|verdad|es verdad|exacto"
    "|exactamente|así es|efectivamente|creo que sí|pienso que sí",
    no_alone="no|falso|es falso|incorrecto|es incorrecto|no es cierto|no es correcto|no es así"
    "|no es verdad|nunca|jamás|creo que no|pienso que no|no lo es|no lo creo|para nada",
    negations=r"no|nunca|jamás|nada|ning\w+|tampoco|ni|sin|nadie",
    denials="falso|falsa|incorrecto|contrario|ausente|improbable|equivocado",
    confirmations="(?:eso )?es (?:cierto|correcto|verdad|así)\\b|así es|lo es$",
    statements=r"(?:(?:esto|eso|este sonido|ese sonido|el sonido(?: de esta grabación)?|aquí|él) )?"
    r"(?:no )?(?:es|son|hay|era|se (?:oye|escucha|trata)|oigo|escucho|suena|proviene|parece)\b"
    r"|ning[uú]n\w* \w+$|no un[ao]? |un[ao]? \w+ no es",
    positives=r"(?:(?:esto|eso|sí) )?(?:es|hay) (?:un|una|el|la)\b(?! (?:\w+ )?(?:pregunta"
    r"|grabación"
    r"|problema|error|difícil|buena|misterio|archivo|audio|contrario))",
    but="pero|aunque|sin embargo|espera|mejor dicho|salvo|excepto|más bien",
    asides=r"fácil\w*|clar[oa]\w*|preguntas?|respuestas?|manera|forma|problemas?"
    r"|importa|pasa|funciona|suficiente\w*|evidente|simple|sencill\w+"
    r"|misterio|error|prueba|secreto|comentarios?|grave|responde|contesta"
    r"|sirve|procede|exclu\w+|descart\w+",
    hedges="quizás?|tal vez|acaso|puede (?:ser|que)|podría\\w*|posible\\w*|imposible|difícil"
    "|no (?:lo )?sé|ni idea|depende|no (?:estoy|está|es) (?:segur\\w+|clar\\w+|im\\w+|evidente)"
    "|no puedo|no se puede|no puede|lo siento|a veces|en parte|incierto|dudos\\w+|ni|no siempre"
    "|no exactamente|no sólo|no solo|apenas|parecido|similar|nada más|desconocid\\w+|dudo|si no",
    refusals="por favor .+|(?:no hay|ningún|sin|falta) (?:el |suficiente |ningún |más )?(?:audio"
    "|sonido|grabación|archivo|información|datos|respuesta|contexto|suficiente\\w*)|no suficiente"
    "|no aplica\\w*|no (?:especificad\\w+|disponible|se especifica|se ha proporcionado"
    "|proporcionad\\w+|tengo|entiendo|oigo nada|escucho nada|se oye nada)|no hay forma"
    "|necesito|proporcion\\w+ (?:el|la|un)|como (?:modelo|una? (?:ia|inteligencia))\\b.*",
    concord=True,
)

PORTUGUESE = Language(
    yes="sim|claro que sim|com certeza sim",
    no="claro que não|de jeito nenhum|de maneira nenhuma|de forma alguma|com certeza não",
    yes_alone="certo|correto|verdadeiro|verdade|é verdade|isso mesmo|exato|exatamente|acho que sim"
    "|é sim|creio que sim",
    no_alone="não|nao|falso|é falso|incorreto|errado|nunca|jamais|não é|não é verdade|acho que não"
    "|não é correto|creio que não",
    negations=r"não|nao|nunca|jamais|nenhum\w*|nada|nem|sem|ninguém",
    denials="falso|falsa|incorreto|errado|contrário|ausente|improvável",
    confirmations="(?:isso )?é (?:verdade|correto|certo|sim)\\b",
    statements=r"(?:(?:isso|isto|esse som|este som|o som(?: nesta gravação)?|aqui|ele) )?"
    r"(?:não |nao )?(?:é|são|há|era|ouço|se ouve|escuto|se trata|tem|parece|soa)\b"
    r"|nenhum\w* \w+$|não um[a]? |uma? \w+ não é",
    positives=r"(?:(?:isso|isto|sim) )?(?:é|há) (?:um|uma|o|a)\b(?! (?:\w+ )?(?:pergunta|gravação"
    r"|problema|erro|difícil|boa|mistério|arquivo|áudio|contrário))",
    but="mas|porém|contudo|no entanto|embora|espera|espere|aliás|exceto|todavia",
    asides=r"fácil|fáceis|clar[oa]|perguntas?|respostas?|maneira|jeito|como saber"
    r"|problemas?|importa|funciona|suficiente\w*|evidente|simples|mistério"
    r"|erro|segredo|comentários?|especificad\w+|exclu\w+|descart\w+",
    hedges="talvez|pode ser|poderia\\w*|possível|possivelmente|impossível|difícil|não sei"
    "|não (?:tenho|há) certeza|não (?:posso|consigo|dá|se pode|pode|estou|está clar\\w+)|depende"
    "|às vezes|em parte|incerto|desculpe|sinto muito|nem|não exatamente|não só|não necessariamente"
    "|não é (?:im|clar|evid)\\w+|quem sabe|parecido|desconhecid\\w+|nada além|duvido|se não",
    refusals="por favor .+|(?:não há|nenhum|nenhuma|sem|falta) (?:o |mais )?(?:áudio|som|gravação"
    "|arquivo|informaç\\w+|dados|resposta|contexto|suficiente\\w*)|não (?:suficiente|aplicável"
    "|se aplica|especificado|disponível|informado|fornecid\\w+|foi fornecid\\w+|tenho|entendo"
    "|ouço nada)|preciso (?:do|da|de)|forneça|envie|como (?:um )?modelo\\b.*",
    concord=True,
)

ITALIAN = Language(
    yes="sì|certo che sì|certamente sì",
    no="certo che no|certamente no|assolutamente no|per niente|per nulla|niente affatto|affatto",
    yes_alone="vero|è vero|corretto|è corretto|esatto|esattamente|giusto|è giusto|credo di sì"
    "|penso di sì|direi di sì",
    no_alone="falso|è falso|sbagliato|è sbagliato|non è vero|non è così|mai|credo di no|penso di no"
    "|non credo|non lo è|non direi|direi di no",
    negations=r"non|nessun\w*|mai|niente|nulla|né|senza",
    denials="falso|falsa|sbagliato|errato|contrario|assente|improbabile",
    confirmations="(?:questo )?è (?:vero|corretto|giusto|così)\\b|lo è$",
    statements=r"(?:(?:questo|quello|questo suono|il suono(?: in questa registrazione)?|qui) )?"
    r"(?:non )?(?:è|sono|c'è|ci sono|era|sento|si sente|si tratta|proviene|sembra)\b"
    r"|nessun\w* \w+$|non un[ao]? |un[ao]? \w+ non è",
    positives=r"(?:(?:questo|quello|sì) )?(?:è|c'è) (?:un|uno|una|il|la|lo|un'|l')(?! ?(?:\w+ )?"
    r"(?:domanda|registrazione|problema|errore|difficile|buona|mistero|file|audio|contrario))",
    but="però|tuttavia|anzi|aspetta|piuttosto|sebbene|tranne|eppure",
    asides=r"facil\w+|chiar\w+|domand\w+|rispost\w+|modo|problem\w+|importa"
    r"|funziona|abbastanza|evidente|semplic\w+|mistero|errore|segreto"
    r"|commento|specificat\w+|esclu\w+",
    hedges="forse|può darsi|potrebbe\\w*|possibile|possibilmente|impossibile|difficile"
    "|non (?:lo )?so"
    "|non saprei|non (?:sono|è) (?:sicur\\w+|cert\\w+|chiar\\w+|im\\w+)|non (?:posso|riesco|si può"
    "|può)|dipende|a volte|in parte|incerto|mi dispiace|magari|chissà|né|non (?:solo|sempre"
    "|esattamente|necessariamente)|simile|sconosciut\\w+|dubito|se non|nient'altro",
    refusals="per favore .+|(?:non c'è|nessun\\w*|senza|manca) (?:alcun\\w* |l'|il |un )?(?:audio"
    "|suono|registrazione|file|informazion\\w+|dati|risposta|contesto|modo)|non (?:abbastanza"
    "|applicabile|specificato|disponibile|fornit\\w+|sento nulla|sento niente|ho|capisco"
    "|è stat\\w+)|fornisc\\w+|ho bisogno|carica (?:il|un)|come modello\\b.*",
    concord=True,
)

POLISH = Language(
    yes="zgadza się|oczywiście,? że tak|owszem",
    no="oczywiście,? że nie|wcale nie|na pewno nie|absolutnie nie|bynajmniej",
    yes_alone="tak|prawda|to prawda|dokładnie|poprawnie|racja|myślę,? że tak|sądzę,? że tak|jest",
    no_alone="nie|fałsz|nieprawda|to nieprawda|nigdy|raczej nie|myślę,? że nie|nie sądzę"
    "|niepoprawnie|źle|nie jest|to nie prawda|tak nie jest",
    negations=r"nie|nigdy|żad\w+|nic|bez|ani|nikt",
    denials="fałsz\\w*|nieprawda|przeciwnie|nieobecn\\w+|błędn\\w+",
    confirmations="to (?:jest )?(?:prawda|poprawne)\\b",
    statements=r"(?:to|ten dźwięk|dźwięk|w (?:tym )?nagraniu|tu|tutaj) (?:nie |jest |to )"
    r"|nie (?:ma|jest|słyszę|słychać|pochodzi)\b|to nie\b|słyszę\b|słychać\b|żad\w+ \w+$",
    but="ale|lecz|jednak|chociaż|czekaj|raczej|zaraz|tylko",
    asides=r"łatw\w*|jasn\w*|pytani\w*|odpowiedzi\w*|problem\w*|działa|wyraźn\w*"
    r"|jak|sposob\w*|prost\w*|sensu|znaczeni\w*|tajemnic\w*|szkodzi"
    r"|wyklucz\w+",
    hedges="może|możliw\\w*|niemożliw\\w*|być może|chyba|nie wiem|nie jestem pew\\w+|nie mogę"
    "|nie można|nie da się|nie potrafię|trudno|ciężko|zależy|niejasn\\w*|niepewn\\w*|nie wiadomo"
    "|przepraszam|przykro|czasami|częściowo|nie do końca|niekoniecznie|nie tylko|nie zawsze|ani"
    "|podobn\\w+|nieznan\\w+|nic innego|wątpię|czy|jeśli",
    refusals="proszę .+|(?:nie ma|brak|żadn\\w+|bez) (?:dźwięku|nagrania|audio|pliku|informacji"
    "|odpowiedzi|danych)|brak|nie (?:słyszę nic|dotyczy|podano|mam|rozumiem|dostarczono"
    "|wystarcz\\w+|określono|nic|ma sposobu)|niewystarczając\\w+|potrzebuję|jako model\\b.*",
    concord=True,
)

RUSSIAN = Language(
    yes="да|ага|так точно",
    no="вовсе нет|конечно нет|совсем нет|отнюдь|отнюдь нет|никак нет",
    yes_alone="верно|это верно|правильно|правда|это правда|точно|именно|так и есть|думаю,? да"
    "|думаю,? что да",
    no_alone="нет|неверно|это неверно|неправильно|неправда|это неправда|ложь|никогда|не"
    "|думаю,? нет|думаю,? что нет|это не так|не так",
    negations=r"не|нет|ни|ничего|никогда|никак\w*|никто|без|нету",
    denials="неверно|неправд\\w+|неправильно|ложь|наоборот|отсутству\\w+|маловероятно",
    confirmations="это (?:верно|правда|правильно|так)$",
    statements=r"(?:это|этот звук|звук|здесь|тут|на записи|в (?:этой )?записи|в аудио|я) "
    r"|нет \w+$|не слыш\w+|не \w+$",
    but="но|однако|хотя|впрочем|подожди\\w*|вернее|точнее|скорее|кроме",
    asides=r"прост\w+|легк\w+|ясн\w*|вопрос\w*|ответ\w*|проблем\w*|работает"
    r"|звук\w* не слыш\w+|смысл\w*|слов|уверенност\w*|способ\w*|секрет\w*"
    r"|важно|страшно|значит|понятн\w*|громк\w+|достаточн\w*|исключ\w+",
    hedges="может|возможно|наверн\\w+|вероятно|пожалуй|не знаю|не увер\\w+|не могу|не могли|нельзя"
    "|трудно|сложно|невозможн\\w*|зависит|неясн\\w*|непонятн\\w*|неизвестн\\w*|не ясн\\w*|извините"
    "|простите|сожал\\w+|иногда|частично|не только|не совсем|не всегда|не обязательно|ни|похож\\w*"
    "|ничего друг\\w*|не исключ\\w+|не невозможн\\w+|сомнева\\w+|если|ли|не определ\\w+",
    refusals="пожалуйста .+|(?:нет|без|нету) (?:звук\\w*|аудио\\w*|запис\\w+|информаци\\w+|данных"
    "|ответа|файл\\w*|возможност\\w+|доступ\\w*)|не (?:слышу (?:ничего|звук\\w*)|предоставлен\\w*"
    "|указан\\w*|хватает|достаточно|имею|понимаю|применимо|доступ\\w+)|ничего не слышу"
    "|недостаточно|я (?:языковая )?модель|как (?:языковая модель|ии)",
    concord=True,
)
