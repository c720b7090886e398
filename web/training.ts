// gallery/training.json: what makes a data set of the gallery's pictures. What the build writes and the page reads.
import type { Preparation } from "../model/picture.ts";

export interface TrainingFile {
  /** How the gallery's pictures were made, for a run must want them so. */
  preparation: Preparation;
  /** Answer class of each picture that training may know, the first of the gallery. */
  classes: number[];
  /** Words about emoji by canonical code: English names, and what group they are of. */
  labels: [code: string, label: string][];
  subcategories: [code: string, name: string][];
}

export const trainingName = "training.json";
