"""The NVIDIA driver, asked through its own C interface: quick, and without any package for it."""

from __future__ import annotations

import ctypes

_NAME_BYTES = 128
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


def devices() -> tuple[list[str], str]:
    """Return a line for each GPU, and why there is none if there is none."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return [], "no NVIDIA driver in this system (optional)"
    code = driver.cuInit(0)
    if code == _NO_DEVICE:
        return [], "an NVIDIA driver, but no device (optional)"
    if code:
        return [], f"the NVIDIA driver does not start (error {code}); nvidia-smi may tell why"
    version, count = ctypes.c_int(), ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    driver.cuDeviceGetCount(ctypes.byref(count))
    release = f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
    return [f"{_describe(driver, k)}, {release}" for k in range(count.value)], ""


def _describe(driver: ctypes.CDLL, index: int) -> str:
    """Return name, memory and compute capability of one device."""
    device, memory, name = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(_NAME_BYTES)
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetName(name, _NAME_BYTES, device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    major, minor = ctypes.c_int(), ctypes.c_int()
    # 75 and 76 are CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
    driver.cuDeviceGetAttribute(ctypes.byref(major), 75, device)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), 76, device)
    return f"{name.value.decode()}, {memory.value / 2**30:.0f} GiB, sm_{major.value}{minor.value}"
