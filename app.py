"""The Space's entry, and what `make app` starts: settings, page, launch."""

import os
import sys

# Before gradio and the Hugging Face libraries are imported: nothing here reports home.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
# Nor is a table of visits made after every one of them.
os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = "1000000"

from summarizer import ui
from summarizer.generate import Engine, ModelError
from summarizer.settings import SettingsError, read_settings
from summarizer.zero import ZeroEngine, lender


def main() -> int:
    try:
        settings = read_settings()
        gpu = lender() if settings.zero_gpu else None  # before torch looks for CUDA
        engine = Engine.load(
            settings.backbone,
            settings.adapters,
            device=settings.device,
            dtype=settings.dtype,
            threads=settings.threads or None,
        )
        if gpu is None:
            ui.warm_up(engine)
        else:  # no GPU is there yet, and a loan is on some visitor's account
            engine = ZeroEngine(engine, gpu)
        page = ui.build(engine, settings)
        address = ui.launch(page, settings)
    except (SettingsError, ModelError) as error:
        print(f"app.py: {error}", file=sys.stderr)
        return 1
    print(f"Serving on {address} (Ctrl+C ends it)", flush=True)
    page.block_thread()
    return 0


if __name__ == "__main__":
    sys.exit(main())
