/** What is trained, and how: trees, masks, gradient transforms, adapters. */
export * from './tree.ts'
export * from './mask.ts'
export * from './adapter/index.ts'
export * from './quantize/index.ts'
export * from './transform/index.ts'
export * from './selection/index.ts'
