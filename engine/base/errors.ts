// The errors that the engine raises, so that callers can tell a user's mistake from a lost device.

/** A tensor of the wrong shape or type, or one that was given back already. */
export class TensorError extends Error {
  override name = "TensorError";
}

/** No adapter, a missing feature, or a request beyond the device's limits. */
export class DeviceError extends Error {
  override name = "DeviceError";
}

/** A kernel that does not compile or that the device refused to run; the message names the kernel. */
export class KernelError extends Error {
  override name = "KernelError";
}

/** The device is gone (driver reset, removed adapter, `destroy()`); only a new engine helps. */
export class DeviceLostError extends Error {
  override name = "DeviceLostError";
}
