/** What is used of a tensor of tfjs: the public types name nothing of a runtime's. */
export interface RuntimeTensor {
  readonly shape: number[]
  readonly dtype: string
  dataSync(): ArrayLike<number>
  dispose(): void
}

/** One signature of a loaded TensorFlow graph, as tfjs-node has it. */
export interface LoadedSignature {
  readonly predict: (inputs: Readonly<Record<string, RuntimeTensor>>) => Readonly<Record<string, RuntimeTensor>>
  readonly dispose: () => void
}
/** tfjs-node's loader of graphs: signatures that are loaded from one path share a TensorFlow session. */
export type LoadSavedModel = (folder: string, tags: readonly string[], signature: string) => Promise<LoadedSignature>

/** What runs behind tfjs's backend `tensorflow`. */
export interface Native {
  /** The package of the user's, or the folder of the build in the cache. */
  readonly from: string
  /** TensorFlow's version. */
  readonly tensorflow: string
  readonly gpu: boolean
  /** Absent where the program has registered a backend whose package is not found. */
  readonly loadSavedModel: LoadSavedModel | undefined
}
