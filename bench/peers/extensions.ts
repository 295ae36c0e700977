import type { ResolveHook } from 'node:module'

/** A single file of tfjs-core, which is no bundle of it. */
const isSingle = (url: string | undefined): boolean =>
  url !== undefined && /\/@tensorflow\/tfjs-core\/dist\/(?!tf-core\.)/.test(url)

/**
 * A hook of Node's module loader. The single files of tfjs-core are modules that name each other without an extension,
 * as bundlers allow: Node finds them with it, and is told that they are modules.
 */
export const resolve: ResolveHook = async (specifier, context, next) => {
  const within = isSingle(context.parentURL) && specifier.startsWith('.') && !specifier.endsWith('.js')
  const found = await next(within ? `${specifier}.js` : specifier, context)
  return isSingle(found.url) ? { ...found, format: 'module' } : found
}
