/** Fine-tuning: trees, masks, gradient transforms, adapters. */
export * from './tree.ts'
export * from './mask.ts'
export * from './method/index.ts'
export * from './quantize/index.ts'
export * from './transform/index.ts'
export * from './selection/index.ts'
export {
  patternMatcher,
  resolveSaved,
  resolveTargets,
  savedMatcher,
  targetMatcher,
  type Bias,
  type ModuleNames,
  type ResolvedModule,
  type TargetRequest,
  unmetNames,
} from './modules/modules.ts'
