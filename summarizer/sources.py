"""The public data sets this project knows: where each lives, its licence, whom to cite.

A card names the sources of its training and test rows; what is said about each comes from here.
Licences are quoted as each publisher states them ("none stated" where there is no statement).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One data set. `name` is the value of a row's `source` field."""

    name: str
    title: str
    url: str
    licence: str
    citation: str
    hub: str | None = None  # its name on the Hub, where the project's recipes use that copy
    terms: frozenset[str] = frozenset()  # of "nc", "nd", "sa", "unstated", "credentialed"


def _source(
    name: str,
    title: str,
    url: str,
    licence: str,
    citation: str,
    *terms: str,
    hub: str | None = None,
) -> Source:
    return Source(name, title, url, licence, citation, hub, frozenset(terms))


_GITHUB = "https://github.com/"

_ALL = (
    # Pairs: radiology
    _source(
        "indiana-openi",
        "Indiana University chest X-ray reports (Open-i)",
        "https://openi.nlm.nih.gov",
        "CC BY-NC-ND 4.0 as stated on public copies of the collection "
        "(not verified with the publisher)",
        "Demner-Fushman D, et al. Preparing a collection of radiology examinations for "
        "distribution and retrieval. JAMIA 2016;23(2):304-310",
        "nc",
        "nd",
    ),
    _source(
        "mtsamples",
        "MTSamples, sample medical transcriptions",
        "https://mtsamples.com",
        "none stated by the site, which offers the samples for reference",
        "mtsamples.com; Boyle T. Medical Transcriptions (Kaggle)",
        "unstated",
    ),
    _source(
        "parrot-v0",
        "PARROT, fictional radiology reports written by radiologists",
        _GITHUB + "PARROT-reports/PARROT-v0",
        "CC BY-NC-SA 4.0",
        "PARROT: Polyglot Annotated Radiological Reports for Open Testing",
        "nc",
        "sa",
    ),
    _source(
        "mimic-iii",
        "MIMIC-III radiology reports",
        "https://physionet.org/content/mimiciii/",
        "PhysioNet Credentialed Health Data License: needs the reader's own credentials",
        "Johnson AEW, et al. MIMIC-III, a freely accessible critical care database. "
        "Scientific Data 2016;3:160035",
        "credentialed",
        "nc",
        hub="hejazizo/mimic-iii",
    ),
    # Pairs: dialogue
    _source(
        "mts-dialog",
        "MTS-Dialog, short conversations and note sections",
        _GITHUB + "abachaa/MTS-Dialog",
        "CC BY 4.0",
        "Ben Abacha A, Yim W, Fan Y, Lin T. An Empirical Study of Clinical Note Generation from "
        "Doctor-Patient Encounters. EACL 2023",
    ),
    _source(
        "mts-dialog-augmented",
        "MTS-Dialog, training conversations translated and back",
        _GITHUB + "abachaa/MTS-Dialog",
        "CC BY 4.0",
        "Ben Abacha A, Yim W, Fan Y, Lin T. An Empirical Study of Clinical Note Generation from "
        "Doctor-Patient Encounters. EACL 2023",
    ),
    _source(
        "aci-bench",
        "ACI-Bench, whole visits and their notes",
        _GITHUB + "wyim/aci-bench",
        "CC BY 4.0",
        "Yim W, et al. ACI-BENCH: a Novel Ambient Clinical Intelligence Dataset. "
        "Scientific Data 2023",
    ),
    _source(
        "primock57",
        "PriMock57, mock primary-care consultations",
        _GITHUB + "babylonhealth/primock57",
        "CC BY 4.0",
        "Papadopoulos Korfiatis A, et al. PriMock57: A Dataset Of Primary Care Mock "
        "Consultations. ACL 2022",
    ),
    # Pairs: question
    _source(
        "meqsum",
        "MeQSum, consumer health questions and their summaries",
        _GITHUB + "abachaa/MeQSum",
        "CC BY 4.0",
        "Ben Abacha A, Demner-Fushman D. On the Summarization of Consumer Health Questions. "
        "ACL 2019",
        hub="albertvillanova/meqsum",
    ),
    _source(
        "rqe-amia2016",
        "RQE, clinicians' questions and their short forms",
        _GITHUB + "abachaa/RQE_Data_AMIA2016",
        "CC BY 4.0",
        "Ben Abacha A, Demner-Fushman D. Recognizing Question Entailment for Medical Question "
        "Answering. AMIA 2016",
    ),
    _source(
        "mediqa2021-task1",
        "MEDIQA 2021 task 1, validation questions",
        _GITHUB + "abachaa/MEDIQA2021",
        "CC BY 4.0",
        "Ben Abacha A, et al. Overview of the MEDIQA 2021 Shared Task on Summarization in the "
        "Medical Domain. BioNLP 2021",
    ),
    _source(
        "liveqa2017-nlm",
        "TREC 2017 LiveQA medical task, questions with NLM summaries",
        _GITHUB + "abachaa/LiveQA_MedicalTask_TREC2017",
        "none stated",
        "Ben Abacha A, et al. Overview of the Medical Question Answering Task at TREC 2017 LiveQA",
        "unstated",
    ),
    # Plain text for the embedded base
    _source(
        "medquad",
        "MedQuAD, question-answer pages of the NIH",
        _GITHUB + "abachaa/MedQuAD",
        "CC BY 4.0",
        "Ben Abacha A, Demner-Fushman D. A question-entailment approach to question answering. "
        "BMC Bioinformatics 2019",
    ),
    _source(
        "openstax_health",
        "OpenStax textbooks on health",
        _GITHUB + "openstax",
        "CC BY 4.0 (books under a non-commercial licence were left out)",
        "OpenStax, Rice University",
    ),
    _source(
        "openstax_general",
        "OpenStax textbooks on other subjects",
        _GITHUB + "openstax",
        "CC BY 4.0 (books under a non-commercial licence were left out)",
        "OpenStax, Rice University",
    ),
    _source(
        "pmc_rct_fulltext",
        "PubMed Central open-access articles of Evidence Inference",
        _GITHUB + "jayded/evidence-inference",
        "per article, CC BY, CC0 or (two articles) CC BY-SA; others were left out",
        "DeYoung J, et al. Evidence Inference 2.0. BioNLP 2020",
    ),
    _source(
        "plos_starter",
        "PLOS articles",
        _GITHUB + "PLOS/allofplos",
        "per article, CC BY or CC0",
        "PLOS",
    ),
    _source(
        "europepmc_openaccess",
        "Europe PMC open-access articles, medical",
        "https://europepmc.org",
        "per article, CC BY or CC0; others were left out",
        "Europe PMC",
    ),
    _source(
        "europepmc_plant_science",
        "Europe PMC open-access articles, plant science",
        "https://europepmc.org",
        "per article, CC BY, CC0 or (two articles) CC BY-SA; others were left out",
        "Europe PMC",
    ),
    _source(
        "craft",
        "CRAFT, biomedical articles",
        _GITHUB + "UCDenver-ccp/CRAFT",
        "CC BY 3.0",
        "Bada M, et al. Concept annotation in the CRAFT corpus. BMC Bioinformatics 2012",
    ),
    _source(
        "pubmedqa_l",
        "PubMedQA, labelled abstracts",
        _GITHUB + "pubmedqa/pubmedqa",
        "MIT (the abstracts belong to their publishers)",
        "Jin Q, et al. PubMedQA: A Dataset for Biomedical Research Question Answering. EMNLP 2019",
    ),
    _source(
        "covid_qa",
        "COVID-QA article texts",
        _GITHUB + "deepset-ai/COVID-QA",
        "Apache-2.0",
        "Möller T, et al. COVID-QA: A Question Answering Dataset for COVID-19. 2020",
    ),
    _source(
        "clinicaltrials_nli4ct",
        "Breast-cancer trial records of ClinicalTrials.gov",
        _GITHUB + "ai-systems/nli4ct",
        "none stated (records of the US NLM)",
        "Jullien M, et al. NLI4CT. EMNLP 2023",
        "unstated",
    ),
    _source(
        "qmsum_meetings",
        "QMSum meeting transcripts",
        _GITHUB + "Yale-LILY/QMSum",
        "MIT",
        "Zhong M, et al. QMSum: A New Benchmark for Query-based Multi-domain Meeting "
        "Summarization. NAACL 2021",
    ),
)

SOURCES: dict[str, Source] = {source.name: source for source in _ALL}

# Other spellings under which recipes and files name the same data.
_ALIASES = {
    "indiana": "indiana-openi",
    "openi": "indiana-openi",
    "open-i": "indiana-openi",
    "parrot": "parrot-v0",
    "abachaa/mts-dialog": "mts-dialog",
    "mts_dialog": "mts-dialog",
    "aci_bench": "aci-bench",
    "rqe": "rqe-amia2016",
    "liveqa": "liveqa2017-nlm",
    "mediqa2021": "mediqa2021-task1",
    **{source.hub: source.name for source in _ALL if source.hub},
}


def find(name: str) -> Source | None:
    """The source of that name, file name or Hub name; None when it is not in the table."""
    key = name.strip().lower()
    key = _ALIASES.get(key, key)
    if key in SOURCES:
        return SOURCES[key]
    stem = key.rsplit("/", 1)[-1].split(".", 1)[0]
    return SOURCES.get(_ALIASES.get(stem, stem))


def weights_licence(trained_on: Iterable[Source]) -> str:
    """The Hub's licence identifier for weights trained on these sources.

    Weights follow the strictest of their data: credentialed data has no licence to pass on
    ("other"); non-commercial and share-alike are passed on; everything else (attribution, public
    domain, nothing stated) leaves the code's Apache-2.0.
    """
    terms = frozenset().union(*(source.terms for source in trained_on))
    if "credentialed" in terms:
        return "other"
    if "nc" in terms:
        return "cc-by-nc-sa-4.0" if "sa" in terms else "cc-by-nc-4.0"
    return "cc-by-sa-4.0" if "sa" in terms else "apache-2.0"


def restrictions(trained_on: Iterable[Source], tested_on: Iterable[Source]) -> list[str]:
    """What the licences forbid, one plain sentence a source; empty when nothing is restricted."""
    trained, said = {source.name: source for source in trained_on}, []
    tested = {source.name: source for source in tested_on if source.name not in trained}
    for use, sources in (("Trained", trained), ("Tested", tested)):
        for source in sources.values():
            consequence = _consequence(source.terms, trained=use == "Trained")
            if consequence:
                said.append(f"{use} on {source.title} (licence: {source.licence}). {consequence}")
    return said


def _consequence(terms: frozenset[str], *, trained: bool) -> str:
    if not trained:
        if terms & {"nc", "nd", "unstated", "credentialed"}:
            return "Its text is not part of this repository and was only read to score outputs."
        return ""
    if "credentialed" in terms:
        return "Do not share these weights with anyone who lacks the credentials."
    if "nd" in terms:
        return (
            "No commercial use. Whether weights are a derivative of the text they were trained on "
            "is not settled: use this adapter for research, and do not pass on changed versions."
        )
    if "nc" in terms:
        return "No commercial use."
    if "unstated" in terms:
        return "Nobody has granted a licence: ask before any use beyond research."
    return ""
