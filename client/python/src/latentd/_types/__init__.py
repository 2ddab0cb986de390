"""What the calls return: frozen dataclasses with numpy arrays, one idea a file."""

from .cache import Cache, CachedSae, UploadedCorpus
from .encoded import Cost, Encoded, Row, Scale, StreamResult
from .example import Example, Examples
from .explanation import Explanation, Explanations, Provenance
from .job import Job, Progress, Spent, name_of
from .model import Model, Tokens
from .provider import Provider
from .reason import ExampleReason, ItemReason, Reduced
from .record import Float32, Int32, Record
from .sae import Latent, Sae, SelfTest
from .score import Score, ScoreExamples
from .server import ServerInfo
from .stats import LatentStats
from .summary import ExplainerSummary, JobSummary, ScorerSummary
from .window import Window, Windows

__all__ = [
    "Cache",
    "CachedSae",
    "Cost",
    "Encoded",
    "Example",
    "ExampleReason",
    "Examples",
    "ExplainerSummary",
    "Explanation",
    "Explanations",
    "Float32",
    "Int32",
    "ItemReason",
    "Job",
    "JobSummary",
    "Latent",
    "LatentStats",
    "Model",
    "Progress",
    "Provenance",
    "Provider",
    "Record",
    "Reduced",
    "Row",
    "Sae",
    "Scale",
    "Score",
    "ScoreExamples",
    "ScorerSummary",
    "SelfTest",
    "ServerInfo",
    "Spent",
    "StreamResult",
    "Tokens",
    "UploadedCorpus",
    "Window",
    "Windows",
    "name_of",
]
