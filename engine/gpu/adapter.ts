// Finds a WebGPU adapter: Dawn through the package `webgpu` in Node, `navigator.gpu` in a browser and in Deno.
// The package is imported lazily and only in Node, so a browser bundle never pulls it in.
import { DeviceError } from "../base/errors.ts";
import { inNode } from "../base/home.ts";

/** How to look for an adapter. */
export interface AdapterOptions {
  powerPreference?: GPUPowerPreference;
  /** Dawn's switches in place of the usual ones, Node only, for example `["backend=null"]`. */
  dawn?: readonly string[];
  /** Timestamps to the nanosecond, Node only; Dawn rounds them to about 0.1 ms otherwise, as browsers do. */
  exactTimestamps?: boolean;
}

/** An adapter and where it is from. */
export interface FoundAdapter {
  adapter: GPUAdapter;
  /** Dawn's instance, which is held here for good. Null in browsers. */
  instance: GPU | null;
}

/** Requests an adapter. Throws DeviceError when there is no WebGPU or no adapter. */
export async function findAdapter(options: AdapterOptions = {}): Promise<FoundAdapter> {
  const { powerPreference = "high-performance" } = options;
  if (!inNode) {
    if (!navigator.gpu) throw new DeviceError("There is no WebGPU here (navigator.gpu is missing).");
    const adapter = await navigator.gpu.requestAdapter({ powerPreference });
    if (!adapter) throw new DeviceError("No WebGPU adapter was found.");
    return { adapter, instance: null };
  }
  const exact = options.exactTimestamps ? ["disable-dawn-features=timestamp_quantization"] : [];
  const instance = await openDawn([...(options.dawn ?? usualSwitches), ...exact]);
  const adapter = await instance.requestAdapter({ powerPreference });
  if (!adapter) {
    throw new DeviceError(
      "No WebGPU adapter was found; `npx casement doctor` says what to do on this machine.",
    );
  }
  return { adapter, instance };
}

// Dawn hides shader-f16 on NVIDIA's Vulkan driver unless told otherwise, and matrix units everywhere.
const usualSwitches = ["enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia"];

/**
 * Dawn's instances by their switches. Once the garbage collector takes one, the process dies or hangs at random: while a device
 * of it lives, and for some turns of the event loop after the device's end, as what that has to tell is asked of the instance.
 */
const instances = new Map<string, GPU>();

async function openDawn(flags: string[]): Promise<GPU> {
  // Mesa prints two harmless lines when this is unset.
  process.env.XDG_RUNTIME_DIR ??= "/tmp";
  const name = "webgpu";
  let dawn: typeof import("webgpu");
  try {
    dawn = await import(/* @vite-ignore */ name);
  } catch (cause) {
    throw new DeviceError("WebGPU in Node needs the package `webgpu`: npm install webgpu", { cause });
  }
  const key = flags.join(" ");
  const instance = instances.get(key) ?? dawn.create(flags);
  instances.set(key, instance);
  return instance;
}
