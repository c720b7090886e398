// WebGPU's flag values (GPUBufferUsage, GPUShaderStage, GPUMapMode of the specification): browsers have them as
// globals, Node has not, and the engine adds no globals.
export const usage = {
  mapRead: 0x1,
  copySource: 0x4,
  copyTarget: 0x8,
  uniform: 0x40,
  storage: 0x80,
  indirect: 0x100,
  queryResolve: 0x200,
} as const;
export const computeStage = 0x4;
export const mapModeRead = 0x1;
