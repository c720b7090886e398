// The errors that the engine raises, so that callers can tell their own mistake from a lost device. Only the end of the
// device or of the engine is fatal. All others leave the engine as it was: a mistake is thrown at once and nothing is
// recorded; what the device refuses later, or has no memory for, is the fate of the tensors that it should have filled.
// Reading one of them throws the error, and so does the next `idle()`; all other tensors are what they were.

/** A tensor of the wrong shape or type, of another engine, or one that was given back already. Thrown at once. */
export class TensorError extends Error {
  override name = "TensorError";
}

/** No adapter, a missing feature, a request beyond the device's limits, no memory left, or an engine that was disposed. */
export class DeviceError extends Error {
  override name = "DeviceError";
}

/** What a compiler says of a place in a kernel's WGSL. */
export interface WgslFault {
  /** Which of the texts that the WGSL is put together from: 0 is what is derived, then the includes, the kernel's own last. */
  text: number;
  /** Both from 1 on; 0 where the compiler does not tell. */
  line: number;
  column: number;
  message: string;
}

/** A kernel that does not compile or that the device refused to run; the message names the kernel. */
export class KernelError extends Error {
  override name = "KernelError";

  constructor(
    message: string,
    options?: ErrorOptions,
    /** Where it does not compile; empty where that is not why, or the compiler does not tell. */
    readonly faults: readonly WgslFault[] = [],
  ) {
    super(message, options);
  }
}

/** The device is gone (driver reset, removed adapter, `destroy()`): fatal, only a new engine helps. */
export class DeviceLostError extends Error {
  override name = "DeviceLostError";
}
