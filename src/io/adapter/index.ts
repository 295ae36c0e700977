export {
  alphaOf,
  formOfModule,
  indexIn,
  rankOf,
  scaleOf,
  withModules,
  type AnyAdapter,
  type WeightedAdapter,
  type AdapterOrigin,
  type AdapterSettings,
  type MethodTensors,
  type Adapter,
} from './adapter.ts'
export { checkBase, fitAdapters, inputWidths } from './base.ts'
export { changes, deltaOf, mergedWeight, restoredWeight } from './delta.ts'
export { loadAdapter, saveAdapter } from './directory.ts'
export { moduleTensors } from './layout.ts'
export { combineAdapters, loraOf, type WidthOf } from './lora-form.ts'
export { peftBaseOf, type PeftBase } from './peft-base.ts'
export { peftOf, savePeft, type PeftAdapter } from './peft-write.ts'
