export {
  alphaOf,
  rankOf,
  scaleOf,
  type AdapterOrigin,
  type AdapterSettings,
  type LoraModule,
  type MethodTensors,
  type PacaModule,
  type Adapter,
  type ShiraModule,
  type VeraProjections,
} from './adapter.ts'
export { checkBase, fitAdapters, inputWidths } from './base.ts'
export { changes, deltaOf, mergedWeight, restoredWeight } from './delta.ts'
export { loadAdapter, saveAdapter } from './directory.ts'
export { moduleTensors } from './layout.ts'
export { combineAdapters, loraOf, type WeightedAdapter, type WidthOf } from './lora-form.ts'
export { peftOf, savePeft, type PeftAdapter, type PeftBase } from './peft-write.ts'
