/** The PromQL of the dashboard and of the alert rules, with where each is written. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { repositoryRoot } from '../support/repository.ts';

export interface Query {
  readonly where: string;
  readonly expr: string;
}

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly (Panel & {
    readonly id: number;
    readonly type: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  })[];
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string }[];
  }[];
}

export const grafanaFile = (name: string): string => path.join(repositoryRoot, 'grafana', name);

export function dashboard(): Dashboard {
  return JSON.parse(readFileSync(grafanaFile('dashboards/eventdispatch.json'), 'utf8')) as Dashboard;
}

/** Grafana's variables are filled in, as Grafana does before it asks. */
export function dashboardQueries(): Query[] {
  return dashboard().panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      where: `panel "${title}"`,
      expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*'),
    })),
  );
}

export function ruleQueries(): Query[] {
  const rules = parse(readFileSync(grafanaFile('rules.yml'), 'utf8')) as Rules;
  return rules.groups.flatMap((group) =>
    group.rules.map(({ alert, expr }) => ({ where: `alert ${alert}`, expr })),
  );
}
