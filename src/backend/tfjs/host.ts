/**
 * tfjs is one engine for the whole program, which may use it too. While kernels of ours run, the engine's backend is
 * theirs, and no scope of the program takes over their results; then the engine is the program's again.
 */

/**
 * The parts of tfjs-core 4.22 that are used, and those of its engine that are set aside, which its own types do not
 * show.
 */
export interface Core {
  engine(): object
  setBackend(name: string): Promise<boolean>
}
interface Engine {
  backendName: string | null | undefined
  backendInstance: object | null | undefined
  pendingBackendInit: unknown
  profiler: unknown
  readonly registry: Readonly<Record<string, object | undefined>>
  readonly registryFactory: Record<string, { readonly factory: () => unknown; readonly priority: number } | undefined>
  readonly state: { activeScope: unknown }
}
/** tfjs's engine, with the parts that determine whose turn it is. */
export const engineOf = (core: Core): Engine => core.engine() as Engine

/** Runs work that may change tfjs's current backend before it returns, and restores the program's. */
const asGuest = <A>(core: Core, work: () => A): A => {
  const engine = engineOf(core)
  const {
    backendName,
    backendInstance,
    pendingBackendInit,
    profiler,
    state: { activeScope },
  } = engine
  engine.pendingBackendInit = null
  engine.state.activeScope = null
  try {
    return work()
  } finally {
    Object.assign(engine, { backendName, backendInstance, pendingBackendInit, profiler })
    engine.state.activeScope = activeScope
  }
}

/**
 * Runs kernels of a started backend, which is tfjs's current one until `work` returns.
 * @example within(tfjs, 'cpu', () => run(plan))
 */
export const within = <A>(core: Core, name: string, work: () => A): A =>
  asGuest(core, () => {
    const engine = engineOf(core)
    engine.backendName = name
    engine.backendInstance = engine.registry[name]
    return work()
  })

/** Factories that give a backend that is started already. */
const keeping = new WeakSet<() => unknown>()

/**
 * Lets tfjs make no second backend of a name while the first is there: it holds what sessions have computed, and for a
 * program that has chosen none tfjs makes one when it needs it, as `tf.memory()` does.
 */
const keepStarted = (core: Core, name: string): void => {
  const { registry, registryFactory } = engineOf(core)
  const entry = registryFactory[name]
  if (entry === undefined || keeping.has(entry.factory)) return
  const factory = (): unknown => registry[name] ?? entry.factory()
  keeping.add(factory)
  registryFactory[name] = { ...entry, factory }
}

/**
 * Starts a registered backend, and leaves tfjs with the program's own; false if it does not start.
 * @example await startBackend(tfjs, 'cpu')
 */
export const startBackend = async (core: Core, name: string): Promise<boolean> => {
  // a backend that is ready at once becomes current before setBackend returns its promise
  const starting = asGuest(core, () => core.setBackend(name))
  const wasReady = engineOf(core).registry[name] !== undefined
  const started = (await starting) && (wasReady || (await asGuest(core, () => core.setBackend(name))))
  if (started) keepStarted(core, name)
  return started
}

/**
 * Registers a backend with the lowest priority for a program that chooses none: packages register themselves with the
 * highest.
 */
export const registerLast = <A>(core: Core, name: string, register: () => A): A => {
  const { registryFactory } = engineOf(core)
  const isTheirs = registryFactory[name] !== undefined
  const made = asGuest(core, register)
  const own = registryFactory[name]
  if (!isTheirs && own !== undefined) registryFactory[name] = { ...own, priority: 0 }
  return made
}
