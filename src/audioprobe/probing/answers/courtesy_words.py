"""Words around an answer that decide nothing. Entries are regular expressions, separated by "|"."""

_HEARD = r"(?:recording|audio|clip|sound|file|track)"

COURTESY = (
    r"no (?:problem|worries|doubt)|without (?:a|any) (?:doubt|question)|beyond (?:a |any )?doubt"
    r"|there is no doubt|thanks?(?: you)?(?: (?:so|very) much| for (?:asking|the question))?"
    r"|(?:you're|you are) welcome|sure|certainly|okay|ok|alright|great(?: question)?"
    r"|good question|hello|hi there|i(?: can| would)? (?:hope (?:this|that) helps?"
    r"|can help with that)"
    r"|hope (?:this|that) helps?|happy to help|glad to help|let me know if .*|feel free to .*"
    r"|have a (?:nice|great|good) day|please"
    rf"|(?:in|from|based on|according to|judging (?:by|from)) (?:this|the|that|your) {_HEARD}"
    r"|to be honest|in my opinion|kein (?:problem|zweifel)|ohne zweifel|zweifellos|gerne|gern|danke"
    r"|natürlich|sicher|sans (?:aucun|nul) doute|aucun doute|pas de (?:problème|souci)|merci"
    r"|bien sûr|certainement|d'accord|sin (?:duda(?: alguna)?|problema)|no hay (?:duda|problema)"
    r"|claro|por supuesto|gracias|sem (?:dúvida|problema)s?|não há (?:dúvida|problema)|obrigad[oa]"
    r"|senza (?:dubbio|problemi)|nessun (?:dubbio|problema)|grazie|certo|bez wątpienia"
    r"|nie ma (?:problemu|wątpliwości)|dziękuję|oczywiście|pewnie|нет (?:проблем|сомнений)"
    r"|без (?:проблем|сомнения|сомнений)|спасибо|конечно|разумеется|没问题|沒問題|毫无疑问"
    r"|毫無疑問|谢谢"
    r"|謝謝|好的|好|当然|當然|間違いなく|もちろん|ありがとう(?:ございます)?|틀림없이|물론"
    r"|물론입니다"
    r"|물론이죠|감사합니다"
)
"""Clauses that are dropped: politeness, and where something is heard."""

OPENINGS = (
    r"well|hmm+|um+|uh|oh|ah|so|then|and|i(?:'m afraid| am afraid)|actually|in fact|sure|certainly"
    r"|absolutely|definitely|of course|indeed|clearly|obviously|probably|most likely|very likely"
    r"|likely|presumably|surely|honestly|simply|(?:i|we)(?: would|'d)? (?:think|believe|say|guess"
    r"|suppose|assume|conclude)(?: that)?|(?:my|the)(?: \w+)? answer(?: to (?:the|this|your)"
    r" question)?(?: is| would be)?|(?:final |correct )?answer(?: is)?|response|conclusion"
    r"|verdict|in conclusion|therefore|thus|hence|naja|nun|also|eigentlich|natürlich|sicher"
    r"|wahrscheinlich|vermutlich|ich (?:denke|glaube|meine)|(?:die |meine )?antwort(?: ist"
    r"| lautet)?"
    r"|eh bien|alors|en fait|bien sûr|certainement|probablement|sûrement|je (?:pense|crois|dirais)"
    r"(?: que)?|(?:la |ma )?réponse(?: est)?|bueno|pues|en realidad|claro|por supuesto|creo que"
    r"|diría que|probablemente|(?:la |mi )?respuesta(?: es)?|bem|na verdade|acho que|claro"
    r"|provavelmente|(?:a |minha )?resposta(?: é)?|beh|allora|in realtà|certo|credo che|direi"
    r"|probabilmente|(?:la |mia )?risposta(?: è)?|no cóż|więc|właściwie|oczywiście|myślę,? że"
    r"|odpowiedź(?: to| brzmi)?|ну|вообще|на самом деле|конечно|разумеется|думаю|я думаю|ответ"
)
"""Words that are cut off the beginning of a clause."""

OPENINGS_UNSPACED = (
    r"答案是|答案|回答|答え(?:は)?|其实|其實|我认为|我覺得|我觉得|当然|實は|実は|もちろん|정답은"
    r"|답은|답|사실은|물론"
)

AFFIRMATIONS = (
    r"of course|certainly|absolutely|definitely|surely|sure thing|natürlich|sicher|bien sûr"
    r"|certainement|absolument|claro|por supuesto|certo|com certeza|certamente|oczywiście"
    r"|конечно|разумеется|当然|當然|もちろん|물론입니다|물론이죠"
)
"""A yes only where they are the whole answer."""

RETRACTIONS = (
    r"scratch that|i take (?:that|it) back|my mistake|i was (?:wrong|mistaken)|strike that|oops"
    r"|whoops|correction|let me (?:rethink|correct|reconsider|rephrase)|on second thoughts?"
    r"|i changed my mind|disregard (?:that|this)|ignore (?:that|this)|not so fast|just kidding"
)

IDIOMS = (
    r"no (?:question|kidding|mistake|denying)|not an? (?:\w+ )?(?:problem|lie|joke|doubt|error)"
    r"|denying|you(?:'re| are) right|kein\w* (?:frage|wunder|fehler|witz|zweifel)|duda|dubbi\w*"
    r"|dúvida|no hay de qué|nie ma (?:sprawy|za co)|не за что|ошибк\w+|błąd|błęd\w+|erreur|errore"
)
"""Negations that deny nothing that was asked, unless removed as courtesy."""

IDIOMS_UNSPACED = r"문제없|수 없|違いな|違いあ|問題あ|問題な|没关系|不客气|不用谢|不得不"

CONTRASTS = r"but(?: rather)?|sondern|mais|sino|mas sim|bensì|(?<!nie )ma|lecz|tylko|а|но"
CONTRASTS_UNSPACED = r"而是"
"""Join a denied and a stated thing: "not a bird but a dog"."""

JOINS = (
    r"and|or|because|since|as|which|who|that(?= (?!is\b|'s|was\b|does))|while|when|so(?= \w)|und"
    r"|oder|weil|da|denn|sondern"
    r"|et|ou|parce qu\w*|car|que|qui|porque|sino|perché|che|lub|bo|ponieważ|и|или|потому"
)
"""Separate clauses."""
