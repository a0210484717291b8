"""Medical summaries side by side: a base model, and the same model with a LoRA adapter.

This package serves. It knows no training and no scoring, and importing it loads no model:
`torch`, `transformers` and `peft` are imported where a model is really needed.
"""

import os

# Nothing here reports home. Set before any Hugging Face library is imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
