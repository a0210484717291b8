"""Medical summaries side by side: a base model, and the same model with a LoRA adapter.

This package serves. It knows no training and no scoring, and importing it loads no model:
`torch`, `transformers` and `peft` are imported where a model is really needed.
"""

import os
import sys

# Nothing here reports home. Set before any Hugging Face library is imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"


def skip_quantization() -> None:
    """Let this process not find bitsandbytes, which trains backbones in 4 bits.

    Nothing that serves needs it, and peft imports it wherever it is installed, with much of torch's
    compiler: a fifth of the time until the first summary. For a program's own process, before any
    model library is imported; what trains must not call it.
    """
    sys.modules["bitsandbytes"] = None  # type: ignore[assignment]
