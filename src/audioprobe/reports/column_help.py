"""Explanations of column names, which the tables of report pages show on hover and focus."""

from collections.abc import Mapping

_EXACT: Mapping[str, str] = {
    "evaluation set": "Set of clips with reference labels, or of clips that questions are about.",
    "prompt level": "Name of the prompt; the sections Samples and Set-up show its text.",
    "AUC": "Area under the ROC curve: the probability that a clip with the label has a higher "
    "score than a clip without it. 0.5 is chance, 1 is perfect. Over several labels: their mean.",
    "AP": "Average precision: the mean precision over all thresholds. Chance is the share of clips "
    "that have the label. Over several labels: their mean.",
    "p (Holm)": "Two-sided p-value, corrected for the number of comparisons in the evaluation set "
    "(Holm). Below .05 is significant. The smallest value that this number of groups allows is "
    "given next to it.",
    "80 % power from": "Detectable difference: the smallest true difference that this test, after "
    "the correction, detects with a probability of 80 %. Smaller ones would probably be missed.",
    "hierarchical F1": "F1 in which labels include the classes above them, which gives partial "
    "credit.",
    "steps to a correct label": "Mean number of steps in the class hierarchy from the label with "
    "the highest score to the nearest correct label.",
    "clips": "Number of clips.",
    "groups": "Number of independent groups of clips, such as recording sites. Intervals and tests "
    "resample groups, so their number limits what can be significant.",
    "smallest p": "Smallest p-value that is possible with this number of groups, after the "
    "correction. If it is above .05, no difference can be significant.",
    "failed": "Without a result, because the audio could not be read or the model gave an error. "
    "They are excluded from the numbers.",
    "no reference label": "Scored clips without reference labels; excluded from the numbers.",
    "nothing recognised": "Clips in which the model itself recognised nothing. They are included "
    "in the numbers.",
    "label": "Class name that captions were scored against.",
    "positives": "Number of clips that have the label.",
    "expected calibration error": "Mean difference between predicted probability and observed "
    "frequency, over ten bins. 0 is perfect.",
    "condition": "What the model is given: text only, the clip (audio), its own caption, or a "
    "control, in which the clip of the concept is not played.",
    "relation": "What a question about a concept is about: its class (hypernym), another name "
    "(synonym), or the concept itself (identity).",
    "form": "Kind of question, such as yes-no.",
    "level": "Number of steps from the concept to the class in question.",
    "negatives": "How the false pair for each true pair was chosen.",
    "recognised": "Whether the model answered correctly that the concept of the clip is present.",
    "familiar": "Whether the model was trained on such audio.",
    "accuracy": "Share of correct answers among valid answers. 0.5 is chance for yes/no questions.",
    "accuracy, invalid as wrong": "Share of correct answers among all questions; invalid answers "
    "and failures count as wrong.",
    "blind guesser": "Accuracy of a guesser who knows how often each class is correct, but neither "
    "the concept nor the audio.",
    "yes-rate": "Share of “yes” among valid answers.",
    "d′": "How well “yes” separates true from false pairs (signal detection); 0 is chance.",
    "criterion": "Response bias: above 0 the model tends to “no”, below 0 to “yes”.",
    "trials": "Number of questions with an answer or a failure.",
    "invalid": "Answers that cannot be read as an option, or in which the best options tie.",
    "text": "Accuracy of questions asked in text only.",
    "audio": "Accuracy of the same questions asked with a clip.",
    "identity, audio": "Accuracy of questions whether the concept itself is in the clip.",
    "text minus audio": "Modality gap: accuracy in text minus accuracy with audio, same questions.",
    "p (concepts)": "p-value of a sign-flip test with concepts as units.",
    "p, concepts": "p-value of a sign-flip test with concepts as units.",
    "p (McNemar)": "p-value of an exact McNemar test, which assumes independent answers.",
    "p, McNemar": "p-value of an exact McNemar test, which assumes independent answers.",
    "due to perception": "Part of the gap from clips whose concept was not recognised.",
    "perception": "Part of the difference from clips whose concept was not recognised.",
    "due to reasoning": "Part of the gap from clips whose concept was recognised.",
    "reasoning": "Part of the difference from clips whose concept was recognised.",
    "unknown": "Part of the difference from clips for which recognition is unknown.",
    "audio minus wrong clip": "Accuracy with the right clip minus accuracy with a wrong clip. "
    "Near 0, the model does not use the audio.",
    "diagnosis": "What the intervals show that the model can do.",
    "depth": "Number of classes from the concept upwards that got a “yes” without a break.",
    "contradictions": "Classes with “no” below a class with “yes”.",
    "trainable": "Modules of the model that fine-tuning changes.",
    "regularization": "Method that limits forgetting.",
    "alignment": "Loss that pulls representations of audio and text together.",
    "seeds": "Runs that succeeded, of those planned; each has another random seed.",
    "stopped early": "Runs that ended before their last step, because the text loss rose.",
    "Pareto front": "Whether no other strategy has both more gain and less forgetting.",
    "baseline": "Level that is compared with.",
    "p, corrected": "p-value after Holm's correction over all comparisons of the measure.",
    "each seed": "Difference for each random seed.",
    "rank correlation": "Spearman's correlation over training runs.",
    "in-domain AUC": "Macro AUC of captions of other clips of the training domain.",
    "out-of-domain AUC": "Macro AUC of captions of clips of another domain.",
    "pretraining-domain AUC": "Macro AUC of captions of clips like those of the pretraining.",
    "text loss": "Nats per token of evaluation passages; an increase means forgetting.",
    "text accuracy": "Share of correct answers about classes of concepts, asked in text.",
    "audio accuracy": "Share of correct answers about classes of concepts, asked with a clip.",
    "arm": "Architecture: how audio reaches the language model.",
    "input": "What the language model receives of the audio.",
    "SD over seeds": "Standard deviation over training runs with different seeds.",
    "balanced accuracy": "Mean of the accuracies of questions with the answers yes and no.",
    "p (Holm), arms": "p-value after Holm's correction over all arms except the first.",
    "questions": "Number of questions, including invalid answers and failures.",
    "budget": "What is equal in the training of the arms: examples, or floating-point operations.",
    "outcome": "Whether the measurement agrees or disagrees with the claim or prediction.",
    "chance": "Expected value of guesses.",
    "kappa with the cascade": "Cohen's kappa: agreement above that of independent answers.",
    "planned tool": "Tool that the question needs.",
    "plan right": "Share of questions whose calls are exactly those that the question needs.",
    "malformed steps": "Steps of the agent that could not be parsed.",
    "positions per question": "Positions of the language model for a training question about "
    "audio.",
    "modality gap": "Text accuracy minus audio accuracy on the same questions.",
}

_PREFIXES: Mapping[str, str] = {
    "AUC minus": "Difference of the macro AUC from the first prompt, on the same clips, with its "
    "confidence interval.",
    "F1, threshold oracle": "F1 with the best threshold of each label on the scored clips "
    "themselves: an upper bound that no threshold chosen in advance reaches.",
    "F1": "Harmonic mean of precision and recall, with a threshold for each label.",
    "weight change": "Norm of the change of the weights, relative to their norm before.",
    "similarity": "Linear CKA of hidden states with those before; 1 means unchanged.",
}


def explain(column: str) -> str:
    """Return the explanation of a column by its name; "" if there is none."""
    if column in _EXACT:
        return _EXACT[column]
    return next((text for prefix, text in _PREFIXES.items() if column.startswith(prefix)), "")
