"""Accelerators of a container from the names of its Kubernetes resources: whole ones, slices, cores, shares of memory."""

from __future__ import annotations

import re

#: Whole devices. Sources: device plugins of NVIDIA, AMD, Intel, Google, AWS and Habana; vGPU plugins of Volcano and HAMi.
WHOLE = re.compile(
    r"[^/]+/(?:v?gpu(?:\.shared|-number)?|tpu|xpu|gaudi\d?|neuron|neurondevice)|gpu\.intel\.com/(?:i915|xe)"
)
_SLICE = re.compile(r"[^/]+/mig-(.+)")
#: A hundred of these are one device. Source: Koordinator and GPU Manager.
HUNDREDTHS = ("koordinator.sh/gpu", "koordinator.sh/gpu-core", "tencent.com/vcuda-core")
#: Cores of a Neuron chip as its device plugin counts them (two physical ones are one logical from trn2 on).
NEURON_CORE, NEURON_CORES, OTHER_CORES = "aws.amazon.com/neuroncore", {"inf1": 4, "trn2": 4, "trn3": 4}, 2
#: Everything else of an accelerator: its memory, its cores, its millicores.
_PART = re.compile(r"/v?gpu[-.]?(?:mem|core|millicore|percent)|/vcuda-|gpu\.intel\.com/(?:mem|millicores|tiles)")
CORES_SAID = "jobs ask for NeuronCores: 4 of inf1, trn2 and trn3 and 2 of other chips count as one accelerator"
SHARE_SAID = "jobs ask for a share of an accelerator (memory or cores of it): each counts as a whole one"

Held = tuple[float, str, str]  # accelerators, the words that name the device, a remark


def held_by(resources: dict[str, object], chosen: str) -> list[Held]:
    """Accelerators that the limits of one container hold, by kind of resource.

    Parameters
    ----------
    resources : name of the resource -> amount.
    chosen : device that the selector of its node names, or "".

    >>> [held[:2] for held in held_by({"nvidia.com/gpu": "2", "nvidia.com/gpumem": "30000", "cpu": 4}, "H100")]
    [(2.0, 'H100')]
    >>> [held[:2] for held in held_by({"nvidia.com/mig-3g.40gb": 2}, "H100")]
    [(2.0, 'H100-MIG-3g.40gb')]
    >>> [held[:2] for held in held_by({"aws.amazon.com/neuroncore": 32}, "trn1.32xlarge")]
    [(16.0, 'trn1.32xlarge')]
    """
    resources = {name: amount for name, amount in resources.items() if str(amount) not in ("0", "0.0")}
    parts = [name for name in resources if _PART.search(name) and not WHOLE.fullmatch(name)]
    found: list[Held] = []
    for name, amount in resources.items():
        if name in HUNDREDTHS:
            return [(float(str(amount)) / 100, chosen or name, "")]
        if WHOLE.fullmatch(name):
            found.append((float(str(amount)), chosen or name, SHARE_SAID if parts else ""))
        elif piece := _SLICE.fullmatch(name):
            found.append((float(str(amount)), f"{chosen}-MIG-{piece[1]}" if chosen else name, ""))
        elif name == NEURON_CORE:
            cores = NEURON_CORES.get(chosen.partition(".")[0], OTHER_CORES)
            found.append((float(str(amount)) / cores, chosen or name, CORES_SAID))
    return found or [(1.0, chosen or name, SHARE_SAID) for name in parts[:1]]
