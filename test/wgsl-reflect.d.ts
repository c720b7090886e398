// The package's types, for the file that Node can import (its `main` is CommonJS in a package of ES modules).
declare module "wgsl_reflect/wgsl_reflect.module.js" {
  export * from "wgsl_reflect";
}
