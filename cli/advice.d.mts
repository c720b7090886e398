// The types of advice.mjs, which is plain JavaScript because it runs before anything is installed.

/** What cli/probe.mjs reports of an adapter. */
export interface AdapterReport {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  subgroupMinSize: number;
  subgroupMaxSize: number;
  subgroupMatrixConfigs: {
    componentType: string;
    resultComponentType: string;
    M: number;
    N: number;
    K: number;
  }[];
  features: string[];
  limits: Record<string, number>;
}

/** A command to run, or a file to write. */
export type Step = { run: string[]; write?: undefined } | { write: string; text: string; run?: undefined };

export interface Plan {
  automatic?: boolean;
  steps: Step[];
  note?: string;
}

export function findChromium(): string | undefined;
export function surveyVulkan(): { loader: boolean; drivers: string[]; mesa: string };
export function explainMissingAdapter(): string;
export function probeAdapter(): { adapter?: AdapterReport; log: string };
export function adapterPlan(): Plan;
export function browserPlan(): Plan;
export function planLines(plan: Plan): string[];
