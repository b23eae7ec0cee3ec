"""The words that decide an answer, one table per language.

Entries are separated by "|" and are regular expressions in lower case. In languages that are
written with spaces an entry matches whole words.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """Words of a language.

    Attributes:
        yes: begin an answer of yes, whatever follows.
        no: begin an answer of no, whatever follows.
        yes_alone: are a yes only where they are all of a clause ("si" is also "if").
        no_alone: are a no only where they are all of a clause ("no" is also "no bird").
        negations: negate the clause that they stand in.
        denials: negative complements: "that is wrong".
        confirmations: positive statements without content: "it is", "that is true".
        statements: begin a statement about what was asked, positive or negative.
        positives: begin a statement that is a yes, if nothing in it negates.
        but: begin a restriction or a retraction.
        asides: mark a statement about the question, the file or the answer, not about the sound
            ("that is not an easy question").
        hedges: leave the side open.
        refusals: say that there is nothing to answer, or ask for something first.
        spaced: whether words are separated by spaces.
        concord: whether two negations negate once ("no hay ningún").
    """

    yes: str = ""
    no: str = ""
    yes_alone: str = ""
    no_alone: str = ""
    negations: str = ""
    denials: str = ""
    confirmations: str = ""
    statements: str = ""
    positives: str = ""
    but: str = ""
    asides: str = ""
    hedges: str = ""
    refusals: str = ""
    spaced: bool = True
    concord: bool = False


_HEARD = (
    r"(?:the|this|that) (?:\w+ ){0,2}?(?:sounds?|noise|call|recording|audio|clip|track|voice"
    r"|source)"
    r"(?: (?:in|of|on) (?:this|the) (?:recording|audio|clip|file|track))?"
)
_IT = rf"(?:it|this|that|there|they|these|those|{_HEARD}|what (?:is|i|you|we) heard?)"
_BE = r"(?:'s|'re|(?: really| clearly| definitely| certainly)? (?:is|are|was|were))"
_ADVERBS = (
    r"(?: (?:indeed|definitely|certainly|clearly|probably|likely|most likely|very likely|surely"
    r"|really|truly|obviously))*"
)
_VAGUE = (
    r"question|difficult|hard|tough|tricky|challeng\w+|mystery|problem|error|mistake|matter|chance"
    r"|possibility|recording|audio|clip|file|image|picture|text|test|mix|bit|lot|few|great|good"
    r"|interesting|complex|complicated|different|other|lack|limit\w*|need|sample|guess|joke|myth"
    r"|misconception|sound of|noise of|kind of|sort of|type of|shame|pity|pleasure|way"
)
_AUX = (
    r"(?:'s|'re| (?:is|are|was|were|does|do|did|has|have|sounds?|looks?|contains?|seems?|appears?"
    r"|comes?|isn't|aren't|wasn't|weren't|doesn't|don't|didn't|hasn't|haven't))"
)

ENGLISH = Language(
    yes="yes|yeah|yep|yup|yea|yessir|aye|affirmative",
    no="nope|nah|nay|no(?= (?:it|it's|this|that|there|i|the|they|not|an?|sir)\\b)",
    yes_alone="true|correct|right|that is right|that's right|that is correct|that's correct"
    "|that is true|that's true|exactly|indeed|it's a yes|i (?:think|believe|guess|suppose"
    "|would say)"
    " so|i'm afraid so|i agree|agreed|so it is|very much so|y",
    no_alone="no|false|incorrect|wrong|untrue|negative|never|not|no way|not at all|not really"
    "|not quite|not so|not likely|unlikely|not true|not correct|not right|not the case|i think not"
    "|i believe not|i guess not|i suppose not|i'm afraid not|i don't think so|i do not think so"
    "|i don't believe so|i do not believe so|i disagree|by no means|no sir|not in this recording"
    "|not in the recording|(?:exactly |quite |just )?the opposite|on the contrary|n"
    r"|(?:it's|it is|that's|that is|that would be|it would be) a no",
    negations=r"not|no|never|nothing|none|nobody|nowhere|neither|nor|cannot|\w+n't|without|lacks?"
    "|lacking|nope|nah|nay",
    denials="false|wrong|incorrect|untrue|absent|unlikely|opposite|contrary|mistaken|inaccurate"
    "|missing|disagree",
    confirmations=rf"{_IT}(?:{_BE}| does| do| did| has| can be)(?: indeed| so| definitely)?$"
    rf"|{_IT}{_BE}{_ADVERBS} (?:true|correct|right|accurate|so|the case|yes|affirmative)\b",
    statements=rf"{_IT}{_AUX}"
    r"|(?:i|we|you)(?: (?:can|do|did|don't|didn't|could))?(?: not| clearly)? "
    r"(?:hear|heard|detect|recogni[sz]e|notice|perceive|would not call|wouldn't call)"
    r"|(?:not|no) (?:an?|any|the) |no \w+(?: \w+)?$|no \w+(?: \w+)? (?:is|are|was|were|can be) "
    r"(?:heard|present|audible|in|here|there)|no sounds? (?:of|from) |not (?:made by|from) "
    r"|isn't |aren't |wasn't ",
    positives=rf"{_IT}{_BE}{_ADVERBS} (?:(?:made|produced|caused) by|from|an?|the|some)\b"
    rf"(?! (?:\w+ )?(?:{_VAGUE})\b)"
    r"|(?:i|we)(?: can| do)?(?: clearly)? hear (?:an?|the|some|it)\b(?! (?:lot|noise|sound"
    r"|recording))",
    but="but|however|although|though|wait|hold on|on second thoughts?|on the other hand|oops"
    "|correction|scratch that|i take that back|my mistake|i was wrong|i mean|i meant|except|unless"
    "|let me (?:rethink|correct|reconsider|rephrase)|or rather|yet|nevertheless|still"
    "|or maybe|strike that|whoops",
    asides=r"(?:not|\w+n't)(?: \w+ly| really| quite)*"
    r" (?:(?:been )?(?!produced|caused|emitted|generated|created|based)\w+ed|been|\w+(?:able|ible"
    r"|ous|ful|less|ive|ical|ant|inent|ient)|easy|simple|ideal|fair|funny|polite|nice|safe|normal|fine"
    r"|ok|okay|loud|quiet|clean|legal|ready|up to|for (?:me|you|us)|how|why|what|who|where|when"
    r"|within|something|about|open|new|common|rare|strange|odd|standard|mine|yours"
    r"|that (?:it|there|this|i|the|they))"
    r"|(?:do|does|did)(?:n't| not) (?!(?:really |clearly |actually )?(?:sound|contain|seem|appear"
    r"|come|have|include|feature|belong|look|count|qualify|represent|match|hear|detect"
    r"|recogni[sz]e|notice|perceive|think|believe|be|so)\b)\w+"
    r"|(?:contains?|includes?|has) (?:no |any )?(?:audio|sounds?(?! of| from)|data)|contain audio"
    r"|\w+ enough|no (?:big |such )?(?:use|sense|fun|luck|deal|\w+ing)|(?:right|wrong|correct"
    r"|incorrect|true|false|missing|best) (?:to|for|\w*file|\w*recording|clip|audio|format|place"
    r"|person|one)|in my \w+|some noise|an? (?:sound|noise)$|an? (?:ai|chatbot|assistant"
    r"|language model)|hear (?:you|me)"
    r"|(?:\w+ )?(?:questions?|experts?|expertise|placeholder|conversation|honou?r|privilege"
    r"|coin flip|toss[ -]up|tie|close call|issues?|rush|hurry|trouble|bother|excuse|big deal|clues?"
    r"|guess|chance|secret|task|riddle|puzzle|debate|lack|absence|abilit\w+|capabilit\w+"
    r"|answers? to|(?:clear|right|definite|good|simple|easy) answer|speech (?:was |is )?(?:detected"
    r"|found|recogni[sz]ed))",
    hedges=r"not that(?= (?:it|there|this|the|they)\b)"
    r"|maybe|perhaps|possibl[ey]|possibilit\w+|impossible|might|may|could|couldn't|would need"
    r"|unsure|uncertain|uncertainty|unclear|unknown|undecided|undetermined|ambiguous|inconclusive"
    r"|indistinguishable|debatable|questionable|doubtful|doubt|dubious|hard to \w+|difficult"
    r"|tough to \w+|tricky|can ?not|can't|unable|don't know|do not know|no idea|no clue|depends"
    r"|depending|sometimes|occasionally|neither|sorry|if|whether|either|partly|partially|in part"
    r"|half|somewhat|sort of|kind of|in a (?:way|sense)|hardly|barely|scarcely|not only|similar"
    r"|resembles?|resembling|wrong side|guessing|just a guess|50 ?/ ?50|fifty|toss-up|who knows"
    r"|yes and no|both|all of the above|up to you|for now|insufficient|inadequate|otherwise"
    r"|not (?:necessarily|always|exactly|entirely|completely|fully|totally|certain|sure|clear"
    r"|confident|obvious|evident|positive|convinced|just|merely|less|other|unlike|too|very|long"
    r"|bad|far|good|easy|easily|simple|unless|until|yet|un\w+|im\w+)"
    r"|\w+n't (?:necessarily|always|exactly|entirely|certain|sure|clear|confident|obvious|evident"
    r"|convinced|just|easy|simple|long|un\w+|im\w+)|no (?:more|less|longer|other|different)"
    r"|(?:nothing|none|anything|no \w+) (?:but|other|else|except|less)|far from|non-\w+|instead"
    r"|rather than|as opposed to|than|unlike"
    r"|exclud\w+|rul\w+ (?:it |that |this )?out|preclud\w+|(?<![.,\d])[1-5]?\d(?:[.,]\d+)? ?%"
    r"|no thank\w*|no (?:surprise|secret|mean|ordinary|small|exaggeration|lie|exception)",
    refusals=r"(?:please|kindly) (?:provide|share|upload|send|attach|give|try|supply|clarify"
    r"|specify"
    r"|tell|re\w+|submit|play|listen|wait|note|include|describe)"
    r"|(?:provide|share|upload|send|attach|supply|submit|resend|re-upload)(?: me| us)?(?: with)?"
    r"(?: the| an?| your| more)* (?:audio|recording|sounds?|file|clip|information|context|details)"
    r"|i(?:'ll| will| would|'d)? need|need (?:the|an?|your|more|to)"
    r"|no (?:such )?(?:audio|recordings?|clips?|files?|inputs?|information|info|data|way to|way of"
    r"|answer|comment|clue|response|context|details?|attachment|evidence|transcript|description"
    r"|preference|opinion|one|image|link|content|access|means|indication|basis|mention|reference"
    r"|reason|point|wonder|matter|guarantee|conclusion|result|output|speech to|option|choice)"
    r"|no sounds?(?! of| from| like| made)|no-one|without (?:the |an? |any |more |further )?"
    r"(?:audio|recording|sound|context|information|listening|hearing|access)"
    r"|not (?:enough|sufficient\w*|applicable|available|specified|provided|given|stated|mentioned"
    r"|possible|known|determined|designed|trained|supported|attached|discernible|able|capable"
    r"|allowed|permitted|included|specific|defined|equipped|configured|accessible|loaded|playing"
    r"|working|found|received|identifiable|distinguishable|recogni[sz]able|relevant|appropriate"
    r"|comfortable|heard|hearing|listening|audible|disclosed|listed|shown|described|indicated"
    r"|discussed|public|answerable|my|me|all|everyone|everything)"
    r"|\w+n't (?:enough|sufficient\w*|applicable|available|specified|provided|given|stated"
    r"|mentioned|possible|known|determined|designed|supported|attached|able|included|allowed"
    r"|accessible|loaded|working|audible|found|heard)"
    r"|(?:do not|does not|don't|doesn't|didn't|did not) (?:say|know|tell|understand|have|see"
    r"|process"
    r"|support|possess|specify|state|mention|provide|include|give|want|wish|feel|need|matter|work"
    r"|exist|make sense|answer|recall|remember|listen|get|follow|care|comply|apply|load|play)"
    r"|(?:any|hear|heard|detect|hearing)(?: any)? (?:audio|thing|anything|sound(?! of| from)"
    r"|sounds(?! of| from))|hear nothing|nothing (?:was|is|has|can) (?:been )?"
    r"(?:provided|heard|given|attached|uploaded|said|known|certain)"
    r"|as an? (?:\w+ )*(?:ai|model|assistant|llm)|i(?:'m| am) (?:just |only )?an? (?:\w+ )*"
    r"(?:ai|model|assistant|llm|chatbot)|text-based|never mind|n/a|apolog\w+|refuse|decline"
    r"|let me (?:listen|check|hear|see|analy[sz]e|think)|i(?:'ll| will) (?:listen|try|wait|be)"
    r"|waiting for|once (?:you|i)|before i|if you (?:provide|share|upload|send|attach|give)"
    r"|help you (?:determine|identify|answer)|repeat (?:that|the question)|cannot assist",
)
