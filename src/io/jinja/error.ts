/**
 * A template that cannot be rendered: it is not Jinja, it raises, it asks for what is not supported, or it does not
 * end.
 */
export class TemplateError extends Error {}

/** Ends the rendering with a sentence. @example raise("'content' is undefined") */
export const raise = (message: string): never => {
  throw new TemplateError(message)
}

/** Ends the rendering, because the outcome would not be Python's. @example unsupported('the filter "xmlattr"') */
export const unsupported = (what: string): never => raise(`${what} is not supported`)
