/** One turn of a conversation. A template may read further fields, such as `tool_calls` and `name`. */
export interface Message {
  readonly role: string
  /** The text, or a list of its parts. */
  readonly content?: string | readonly unknown[] | null
  readonly [field: string]: unknown
}

/** Inputs of a template in addition to the messages. */
export interface ChatOptions {
  readonly tools?: readonly unknown[] | null | undefined
  readonly documents?: readonly unknown[] | null | undefined
  /** Variables of the template, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined
}
