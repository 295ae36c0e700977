/**
 * The modules that only Node runs, each loaded when it is first used. In a bundle for browsers `absent.ts` stands in
 * place of this file, by the `browser` field of package.json: a bundler follows these imports although they wait.
 */
export const nativeModules = {
  load: () => import('./load.ts'),
  device: () => import('./device.ts'),
  abilities: () => import('./abilities.ts'),
  graphEngine: () => import('../graph/engine.ts'),
  graphExplain: () => import('../graph/explain.ts'),
  graphForesee: () => import('../graph/foresee.ts'),
}
