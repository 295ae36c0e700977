/** An image with its class as a source states it: its name or its index; `at` says in words where it stands. */
export interface FoundRow {
  readonly at: string
  readonly file: string
  readonly label: string | number
}

/** All that a source states. `classes` are those that it names without an image, such as empty folders. */
export interface Found {
  readonly classes: readonly string[]
  readonly rows: readonly FoundRow[]
  readonly ignored: number
}
