/** The part of a tfjs tensor that is used: public types name no types of a runtime. */
export interface RuntimeTensor {
  readonly shape: number[]
  readonly dtype: string
  dataSync(): ArrayLike<number>
  dispose(): void
}

/** One signature of a loaded TensorFlow graph, as tfjs-node represents it. */
export interface LoadedSignature {
  readonly predict: (inputs: Readonly<Record<string, RuntimeTensor>>) => Readonly<Record<string, RuntimeTensor>>
  readonly dispose: () => void
}
/** tfjs-node's loader of graphs: signatures that are loaded from one path share a TensorFlow session. */
export type LoadSavedModel = (folder: string, tags: readonly string[], signature: string) => Promise<LoadedSignature>

/** The runtime behind tfjs's backend `tensorflow`. */
export interface Native {
  /** The user's package, or the folder of the build in the cache. */
  readonly from: string
  /** TensorFlow's version. */
  readonly tensorflow: string
  readonly gpu: boolean
  /** Undefined if the program has registered a backend whose package is not found. */
  readonly loadSavedModel: LoadSavedModel | undefined
}
