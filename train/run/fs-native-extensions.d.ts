// The part of the package that lock.ts uses; it comes without types.
declare module "fs-native-extensions" {
  /** Locks a whole file; false where another process has it locked. */
  export function tryLock(descriptor: number): boolean;
}
