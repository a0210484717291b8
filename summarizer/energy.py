"""What a training run cost in energy, estimated from its run record.

An estimate by rated power: nothing here measures anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Rated power in watts, from the makers' data sheets (board power of the SXM form where there are
# several). A device's name decides, first match wins.
_WATTS = (
    ("h200", 700),
    ("h100", 700),
    ("a100", 400),
    ("l40s", 350),
    ("a10g", 300),
    ("l4", 72),
    ("v100", 300),
    ("t4", 70),
    ("rtx 4090", 450),
    ("rtx 3090", 350),
)
_CPU_WATTS = 100  # one server processor's share, all cores busy; an assumption, not a data sheet
_GRAMS_PER_KWH = 480  # world mean of 2023, Ember, Global Electricity Review 2024


def _energy(run: Mapping[str, Any]) -> tuple[str, float, int, float] | None:
    """(device, hours, assumed watts, kWh) of a run record; None where it does not say."""
    device, seconds = run.get("device"), run.get("seconds")
    if isinstance(device, Mapping):
        device = device.get("name") or device.get("type")
    if not device or not isinstance(seconds, (int, float)):
        return None
    name = str(device).lower()
    watts = next((watts for key, watts in _WATTS if re.search(rf"\b{key}\b", name)), None)
    if watts is None and ("cpu" in name or "xeon" in name or "epyc" in name):
        watts = _CPU_WATTS
    if watts is None:
        return str(device), seconds / 3600, 0, 0.0
    return str(device), seconds / 3600, watts, seconds / 3600 * watts / 1000


def cost(run: Mapping[str, Any], *, backbone_apart: bool = True) -> str:
    """The cost in one paragraph. `backbone_apart`: say that the backbone's own is not in it."""
    energy = _energy(run)
    if energy is None:
        return "The run record names no device or no duration, so nothing can be estimated."
    device, hours, watts, kilowatt_hours = energy
    words = f"Device: {device}. Duration: {_hours(hours)}."
    if not watts:
        return words + " The device's rated power is not known here, so no energy is estimated."
    return words + (
        f" Estimate, not a measurement: {kilowatt_hours:.3g} kWh if the device drew {watts} W all "
        f"the time, about {kilowatt_hours * _GRAMS_PER_KWH:.3g} g CO2e at the world's mean of "
        f"{_GRAMS_PER_KWH} g/kWh (Ember, 2023). The rest of the machine, cooling, and runs that "
        "were thrown away are not counted"
        + ("; neither is the training of the backbone." if backbone_apart else ".")
    )


def emissions(run: Mapping[str, Any], kind: str = "fine-tuning") -> dict[str, Any] | None:
    """The front matter's `co2_eq_emissions` (grams); None where the record is not enough."""
    energy = _energy(run)
    if energy is None or not energy[2]:
        return None
    device, _, watts, kilowatt_hours = energy
    return {
        "emissions": float(f"{kilowatt_hours * _GRAMS_PER_KWH:.3g}"),
        "source": f"estimate: {watts} W for the whole run, {_GRAMS_PER_KWH} g CO2e per kWh",
        "training_type": kind,
        "hardware_used": device,
    }


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} hours"
    minutes = hours * 60
    return f"{minutes:.1f} minutes" if minutes >= 1 else f"{minutes * 60:.0f} seconds"
