/**
 * The error of a template that cannot be rendered: it is not Jinja, it raises, it uses something unsupported, or it
 * does not terminate.
 */
export class TemplateError extends Error {}

/** Ends the rendering with a sentence. @example raise("'content' is undefined") */
export const raise = (message: string): never => {
  throw new TemplateError(message)
}

/** Ends the rendering, because the result would differ from Python's. @example unsupported('the filter "xmlattr"') */
export const unsupported = (what: string): never => raise(`${what} is not supported`)
