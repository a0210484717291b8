"""The impression is found in the forms in which chat models really answer, and never invented."""

import pytest

from eval.extract import extract

FINDINGS = (
    "The heart is mildly enlarged. There is a small left pleural effusion. No pneumothorax is seen."
)
ONE = "Small left pleural effusion."
TWO = "1. Mild cardiomegaly.\n2. Small left pleural effusion."

FORMS = {
    "the text alone": (ONE, ONE),
    "numbered points alone": (TWO, TWO),
    "heading": (f"Impression: {ONE}", ONE),
    "heading in capitals": (f"IMPRESSION:\n{TWO}", TWO),
    "capitals without a colon": (f"IMPRESSION {ONE}", ONE),
    "capitals without a colon, numbered": ("IMPRESSION 1. Mild cardiomegaly.", "1. Mild cardiomegaly."),
    "plural": (f"Impressions:\n{TWO}", TWO),
    "bold heading": (f"**Impression:** {ONE}", ONE),
    "bold heading, colon outside": (f"**Impression**: {ONE}", ONE),
    "bold heading alone on its line": (f"**IMPRESSION**\n\n{TWO}", TWO),
    "Markdown heading": (f"## Impression\n\n{TWO}", TWO),
    "Markdown heading with a colon": (f"### Impression:\n{ONE}", ONE),
    "final impression": (f"Final Impression:\n{ONE}", ONE),
    "the impression in a sentence": (f"Based on these findings, the impression is: {ONE}", ONE),
    "heading with a remark": (f"Impression (summary): {ONE}", ONE),
    "full-width colon": (f"Impression\uff1a{ONE}", ONE),
    "dash": (f"Impression - {ONE}", ONE),
    "conclusion": (f"CONCLUSION: {ONE}", ONE),
    "impression before a conclusion": (f"Impression: {ONE}\nConclusion: see above.", ONE),
    "emphasis in the points": (
        "**Impression:**\n1. **Mild cardiomegaly.**\n2. Small left pleural effusion.", TWO),
    "block quote": (f"> **Impression:** {ONE}", ONE),
    "polite opening": (f"Sure! Here is the impression:\n\n{TWO}", TWO),
    "opening on one line": (f"Certainly! Here's a concise impression: {ONE}", ONE),
    "opening, then heading": (f"Based on the findings provided:\n\n**Impression:**\n{TWO}", TWO),
    "closing note": (f"Impression:\n{TWO}\n\nNote: this is not medical advice.", TWO),
    "closing offer": (f"{TWO}\n\nLet me know if you need anything else!", TWO),
    "closing rule": (f"Impression: {ONE}\n\n---\nThis impression is based on the findings.", ONE),
    "please note": (f"{ONE}\n\nPlease note that clinical correlation is needed.", ONE),
    "explanation after": (f"Impression: {ONE}\n\nExplanation: the effusion is small.", ONE),
    "recommendations after": (f"**Impression:** {ONE}\n\n**Recommendations:** follow up.", ONE),
    "findings before": (f"Findings: {FINDINGS}\n\nImpression: {ONE}", ONE),
    "echo of the prompt": (f"Summarize the findings.\n\n{FINDINGS}\n\nImpression:\n{ONE}", ONE),
    "echo of the findings without a heading": (f"{FINDINGS}\n\n{ONE}", ONE),
    "echo broken into lines": (FINDINGS.replace(". ", ".\n") + f"\n\n{ONE}", ONE),
    "empty heading of the prompt, then the answer's": (
        f"FINDINGS: {FINDINGS}\nIMPRESSION:\n\nIMPRESSION: {ONE}", ONE),
    "system text and roles of Phi": (
        f"<|system|>\nYou are a radiologist.<|end|>\n<|user|>\n{FINDINGS}<|end|>\n<|assistant|>\n"
        f"{ONE}<|end|>", ONE),
    "roles of ChatML": (
        f"<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\n{FINDINGS}<|im_end|>\n"
        f"<|im_start|>assistant\n{TWO}<|im_end|>", TWO),
    "roles of Llama 3": (
        "<|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>"
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{ONE}<|eot_id|>", ONE),
    "instruction brackets": (f"<s>[INST] Summarize: {FINDINGS} [/INST] {ONE}</s>", ONE),
    "roles of Gemma": (f"<start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\n{ONE}", ONE),
    "Alpaca": (f"### Instruction:\nSummarize.\n\n### Response:\n{ONE}", ONE),
    "roles as words": (f"User: {FINDINGS}\nAssistant: {ONE}", ONE),
    "the model goes on as the user": (f"{ONE}\n<|user|>\nAnother report: the heart is", ONE),
    "the same with words": (f"Impression: {ONE}\nUser: thanks", ONE),
    "thoughts": (f"<think>\nThe heart is large. Impression: x\n</think>\n{ONE}", ONE),
    "code fence": (f"```\n{TWO}\n```", TWO),
    "code fence with a language": (f"Here you go:\n```text\nImpression: {ONE}\n```", ONE),
    "JSON": ('{"impression": "Small left pleural effusion."}', ONE),
    "JSON with a list, in a fence": (
        '```json\n{"Impression": ["Mild cardiomegaly.", "Small left pleural effusion."]}\n```', TWO),
    "XML tag": (f"<impression>\n{ONE}\n</impression>", ONE),
    "quotes": (f'"{ONE}"', ONE),
    "curly quotes after an opening": (f"Here is the impression: \u201c{ONE}\u201d", ONE),
    "the word inside a sentence is no heading": (
        "No impression on the thecal sac. Disc bulge at L4-L5.",
        "No impression on the thecal sac. Disc bulge at L4-L5."),
    "a sentence with a colon is no heading": (
        "Two nodules: one of 5 mm, one of 3 mm.", "Two nodules: one of 5 mm, one of 3 mm."),
    "bullets alone": ("* Mild cardiomegaly.\n* Effusion.", "* Mild cardiomegaly.\n* Effusion."),
    "underlined heading": (f"IMPRESSION\n----------\n{TWO}", TWO),
    "heading in brackets": (f"[IMPRESSION]\n{ONE}", ONE),
    "heading in brackets on one line": (f"(Impression) {ONE}", ONE),
    "heading in back quotes": (f"`Impression:` {ONE}", ONE),
    "heading in HTML": (f"<b>Impression:</b><br>{ONE}", ONE),
    "em dash without a space": (f"Impression\u2014{ONE}", ONE),
    "whose impression": (f"Radiologist's Impression: {ONE}", ONE),
    "impression of a report": (f"**Radiology Report Impression:**\n{ONE}", ONE),
    "impression of what": (f"Impression of the report: {ONE}", ONE),
    "impression and more": (f"Impression and Plan: {ONE}", ONE),
    "byte order mark": (f"\ufeffImpression: {ONE}", ONE),
    "heading behind a sentence": (f"Findings: The heart is large. Impression: {ONE}", ONE),
    "a point about recommendations": (
        "1. No metastasis.\n2. Recommendations: CT in 3 months.",
        "1. No metastasis.\n2. Recommendations: CT in 3 months."),
    "a point that excludes nothing": (
        "1. Clear lungs. I cannot exclude a small effusion.",
        "1. Clear lungs. I cannot exclude a small effusion."),
    "note in brackets": (f"Impression:\n{TWO}\n\n(Note: this was generated.)", TWO),
    "signature": (f"Impression: {ONE}\n\n[Your Name]\nRadiologist", ONE),
    "label of an answer": (f"**Final Answer**\n{ONE}", ONE),
    "label of a summary": (f"Summary: {ONE}", ONE),
    "another tag": (f"<answer>\n{ONE}\n</answer>", ONE),
    "system text before the echo": (f"You are a radiologist.\n{FINDINGS}\n{ONE}", ONE),
    "the embedded model's prompt": (f"summarize: {FINDINGS}\n{ONE}", ONE),
    "roles left as words": (f"system\nYou help.\nuser\n{FINDINGS}\nassistant\n{ONE}", ONE),
    "roles of DeepSeek, thoughts opened by the template": (
        f"<\uff5cUser\uff5c>hi<\uff5cAssistant\uff5c>It is large.\n</think>\n\n{ONE}"
        "<\uff5cend\u2581of\u2581sentence\uff5c>", ONE),
    "Python's quotes": ("{'impression': 'Small left pleural effusion.'}", ONE),
    "JSON behind an opening": (f'Here it is:\n{{"impression": "{ONE}"}}', ONE),
    "JSON of numbered keys": (
        '{"impression": {"1": "Mild cardiomegaly.", "2": "Small left pleural effusion."}}', TWO),
    "JSON that the length limit cut": ('{"findings": "x", "impression": "Small left', "Small left"),
    "Windows line ends": (f"Impression:\r\n{TWO}".replace("\n2", "\r\n2"), TWO),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_the_impression_is_found(form):
    answer, expected = FORMS[form]
    assert extract(answer, FINDINGS) == expected


NONE = {
    "empty": "",
    "only spaces": " \n\t ",
    "only a heading": "Impression:",
    "only the echo": FINDINGS,
    "the echo under its heading": f"Findings: {FINDINGS}",
    "only role markers": "<|system|><|end|><|assistant|><|end|>",
    "a refusal": "I'm sorry, but I cannot provide a medical diagnosis.",
    "a question back": "Could you please provide the findings of the report?",
    "thoughts that never end": "<think>The heart is large and",
    "marks only": "**\n---\n```",
    "a refusal in other words": "As requested, but I am not able to generate an impression.",
    "nested without end": "[" * 100_000,
}


@pytest.mark.parametrize("form", NONE)
def test_what_is_not_there_is_not_invented(form):
    assert extract(NONE[form], FINDINGS) is None


@pytest.mark.parametrize("form", FORMS)
def test_an_extracted_impression_is_its_own_impression(form):
    answer, expected = FORMS[form]
    assert extract(extract(answer, FINDINGS), FINDINGS) == expected
