/** Stores frozen weights in fewer bits: packed on the host, unpacked by the language's `dequantize`. */
export { blockScales, dequantizeNF4, nf4Bytes, nf4Codes, quantizeNF4, type PackedNF4, type Scales } from './nf4.ts'
export { nf4, type PackedArrays, type Quantizer } from './quantizer.ts'
