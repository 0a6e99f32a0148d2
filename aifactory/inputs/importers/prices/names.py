"""Which accelerator, and how many of them, a price is for."""

from __future__ import annotations

import re

import pandas as pd

#: Device names of price lists without vendor, blanks and dashes; memory in GB tells variants apart.
DEVICES: dict[str, str] = {
    "T4": "nvidia-t4",
    "V10032GB": "nvidia-v100-32",
    "A10": "nvidia-a10",
    "A10G": "nvidia-a10g",
    "L4": "nvidia-l4",
    "L40": "nvidia-l40",
    "L40S": "nvidia-l40s",
    "RTX6000ADA": "nvidia-rtx6000-ada",
    "RTXPRO6000": "nvidia-rtxpro6000-se",
    "RTXPRO6000BLACKWELLSERVEREDITION": "nvidia-rtxpro6000-se",
    "A10080GB": "nvidia-a100-80-sxm",
    "A10080GBSXM": "nvidia-a100-80-sxm",
    "A10040GB": "nvidia-a100-40-sxm",
    "H100": "nvidia-h100-sxm",
    "H100SXM": "nvidia-h100-sxm",
    "H100NVL": "nvidia-h100-nvl",
    "H100PCIE": "nvidia-h100-pcie",
    "H200": "nvidia-h200-sxm",
    "H200SXM": "nvidia-h200-sxm",
    "GH200": "nvidia-gh200-96",
    "B200": "nvidia-b200-sxm",
    "B300": "nvidia-b300-sxm",
    "GB200": "nvidia-gb200",
    "GB300": "nvidia-gb300",
    "MI250X": "amd-mi250x",
    "MI300X": "amd-mi300x",
    "MI325X": "amd-mi325x",
    "MI350X": "amd-mi350x",
    "MI355X": "amd-mi355x",
    "GAUDIHL205": "intel-gaudi1",
    "GAUDI2": "intel-gaudi2",
    "GAUDI3": "intel-gaudi3",
    "INFERENTIA": "aws-inferentia1",
    "INFERENTIA1": "aws-inferentia1",
    "INFERENTIA2": "aws-inferentia2",
    "TRAINIUM": "aws-trainium1",
    "TRAINIUM1": "aws-trainium1",
    "TRAINIUM2": "aws-trainium2",
    "TRAINIUM3": "aws-trainium3",
}
#: Sold as one device, counted as two by some lists: a count of 2 n is n of ours.
HALVES = {"MI250", "MI250X", "GB200SUPERCHIP", "K80"}
#: More than any device holds: in another unit, and no sign of a variant.
MOST_MEMORY_GB = 1_000.0
TPU = re.compile(r"(?:TPU)?-?V(\d)(LITEPOD|E|P)?-(\d+)", re.IGNORECASE)
#: Without one, a name stands for any generation ("Trainium").
GENERATION = re.compile(r"\d")
#: Generations whose slices are named by cores, two to a chip.
BY_CORES = {"4", "5P"}
MEMORY_CHOICES = {
    "A100": ((60.0, "nvidia-a100-80-sxm"), (0.0, "nvidia-a100-40-sxm")),
    "A100PCIE": ((60.0, "nvidia-a100-80-pcie"), (0.0, "nvidia-a100-40-pcie")),
    "V100": ((30.0, "nvidia-v100-32"),),
    "H100": ((90.0, "nvidia-h100-nvl"), (0.0, "nvidia-h100-sxm")),
}


#: Form factor at the end of an identifier, and in the texts of price lists.
FORM = re.compile(r"-(sxm|pcie|nvl)$")
STATED_FORM = re.compile(r"(?i)(?<![a-z])(sxm|pcie|nvl)\d?(?![a-z])")


def form_factor(text: str) -> str:
    """The one form factor that a text states, '' for none or several.

    >>> form_factor("gpu_1x_h100_pcie"), form_factor("H100 SXM5 80GB"), form_factor("A100"), form_factor("SXM or PCIe")
    ('pcie', 'sxm', '', '')
    """
    found = {match.lower() for match in STATED_FORM.findall(text)}
    return found.pop() if len(found) == 1 else ""


class Names:
    """Finder of accelerators by instance type first, then by device name and memory."""

    def __init__(self, aliases: pd.DataFrame) -> None:
        known = aliases.assign(alias=aliases["alias"].str.lower())
        types = known[known["kind"] == "instance_type"].set_index("alias")
        known_types = {
            str(name): (str(row["accelerator_id"]), float(row["accelerators"])) for name, row in types.iterrows()
        }
        bare = {name.removeprefix("standard_"): held for name, held in known_types.items()}  # as some lists write them
        self.types: dict[str, tuple[str, float]] = bare | known_types
        devices = known[known["kind"] == "device_name"]
        self.devices = DEVICES | {
            squeezed(str(row.alias)): str(row.accelerator_id)
            for row in devices.itertuples()
            if squeezed(str(row.alias)) not in MEMORY_CHOICES
        }
        by_memory = {choice for choices in MEMORY_CHOICES.values() for _, choice in choices}
        self.ids = {*self.devices.values(), *by_memory, *(accelerator for accelerator, _ in self.types.values())}

    def find(
        self, sku: str, device: str, count: float, memory_gb: float = float("nan"), form: str = ""
    ) -> tuple[str, float, str]:
        """Return accelerator, how many, and why there is none (empty if found).

        The instance type decides where it is known; a file that counts another number of devices in
        it (half devices, cores and hosts are counted by some lists), or names another product, is not believed. `form` is the
        form factor that the file states beside the name of the device ('pcie'): lists call a card by the name of its module.
        """
        if sku.lower() in self.types:
            accelerator, known = self.types[sku.lower()]
            named = self._named(squeezed(device), memory_gb)
            if named and GENERATION.search(device) and product(named) != product(accelerator):
                return "", 0.0, f"{sku} holds {accelerator} by the catalogue, {device} by the file"
            if count > 0 and count != known and not device_is_half(device, count, known):
                return "", 0.0, f"{sku} holds {known:g} accelerators by the catalogue, {count:g} by the file"
            return accelerator, known, ""
        if match := TPU.fullmatch(device.strip()):
            return _tpu(match)
        name = squeezed(device)
        if name in HALVES and count and count % 2 == 0:
            count, name = count / 2, name.removesuffix("SUPERCHIP")
        accelerator = self._named(name, memory_gb)
        named = FORM.search(accelerator)
        if (
            form and named and named.group(1) != form and (named.group(1), form) != ("nvl", "pcie")
        ):  # an NVL is a PCIe card
            accelerator = f"{accelerator[: named.start()]}-{form}"
            accelerator = accelerator if accelerator in self.ids else ""
        if not accelerator:
            return "", 0.0, f"device {device or sku!r}{f' ({form})' * bool(form)} is not in the catalogue"
        return (accelerator, count, "") if count > 0 else ("", 0.0, "the number of devices is missing")

    def _named(self, name: str, memory_gb: float) -> str:
        """Accelerator of a squeezed device name, empty where it is not known."""
        for least, choice in MEMORY_CHOICES.get(name, ()):
            if least <= memory_gb <= MOST_MEMORY_GB:
                return choice
        return self.devices.get(name, "")


def product(accelerator_id: str) -> str:
    """Vendor, family and generation of an accelerator, whatever its form factor and memory.

    >>> product("nvidia-a100-80-sxm"), product("nvidia-a10g"), product("aws-trainium2")
    ('nvidia-a100', 'nvidia-a10', 'aws-trainium2')
    """
    return re.sub(r"^([a-z]+-\D*\d+).*", r"\1", accelerator_id)


def device_is_half(device: str, count: float, known: float) -> bool:
    """Whether the file counts each device twice.

    >>> device_is_half("MI250", 8, 4)
    True
    """
    return squeezed(device) in HALVES and count == 2 * known


def _tpu(match: re.Match[str]) -> tuple[str, float, str]:
    number, kind, size = match.group(1), (match.group(2) or "").upper(), int(match.group(3))
    generation = number + ("E" if kind in ("LITEPOD", "E") else "P" if kind == "P" else "")
    chips = size / 2 if generation in BY_CORES else float(size)
    accelerator = {"4": "v4", "5E": "v5e", "5P": "v5p", "6E": "v6e", "7": "v7", "7X": "v7"}.get(generation)
    if accelerator is None or chips < 1:
        return "", 0.0, f"device {match.group(0)!r} is not in the catalogue"
    return f"google-tpu-{accelerator}", chips, ""


def squeezed(device: str) -> str:
    """Device name in capitals without vendor, blanks and dashes.

    >>> squeezed("NVIDIA A100-80GB-SXM"), squeezed("nvidia-tesla-t4")
    ('A10080GBSXM', 'T4')
    """
    bare = re.sub(r"[^A-Z0-9]", "", device.upper())
    for vendor in ("NVIDIA", "TESLA", "AMD", "INSTINCT", "INTEL", "HABANA", "AWS"):
        bare = bare.removeprefix(vendor)
    return bare
