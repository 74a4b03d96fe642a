import type { IconName } from "./icons";

/** One line of a menu. */
export interface MenuItem {
  readonly label: string;
  readonly icon?: IconName;
  readonly danger?: boolean;
  /** One of a choice; `undefined` where nothing is chosen. */
  readonly checked?: boolean;
  /** A line above it. */
  readonly divides?: boolean;
  readonly act: () => void;
}
