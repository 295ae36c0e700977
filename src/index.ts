/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Partensor: a functional tensor language whose shapes are types and whose training step is compiled to TensorFlow.js.
 * @packageDocumentation
 */
export * from './tensor/index.ts'
export * from './host/index.ts'
export * from './tune/index.ts'
export * from './model/index.ts'
export * from './compile/index.ts'
export * from './backend/index.ts'
export * from './io/index.ts'
export * from './train/index.ts'
export * from './verify/index.ts'
export * from './program/index.ts'
