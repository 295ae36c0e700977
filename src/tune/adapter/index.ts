export { adapt, leafName, UnknownTarget, type Adapter, type MaskOf, type ParamsOf, type Reparametrisation, type Select, type IndexChoice, type Tuned } from './adapter.ts'
export { full } from './full.ts'
export { paca, type PacaOptions } from './paca.ts'
