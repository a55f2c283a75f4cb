// SPDX-License-Identifier: Apache-2.0
// The page "Alchemy" of Airflow's web UI: every collection, its state, progress, cost and freshness.
//
// Airflow loads this file as it is (no build step) and renders the function in globalThis.AirflowPlugin with its own
// React. All data comes from Airflow's REST API with the user's session, so Airflow decides what the user may see.
(function () {
  "use strict";

  const PAGE_LIMIT = 1000; // what is asked for; Airflow caps it at [api] maximum_page_limit (100 by default)
  const MAX_EVENTS = 10000;
  const MAX_ASSET_PAGES = 100;
  const MAX_TASK_PAGES = 10;
  const MAX_PROGRESS_REQUESTS = 10; // running tasks whose progress is read in each poll
  const POLL_MS = 5000;
  const STARTING_MS = 120000; // how long a run that was just started is waited for
  const ROWS_PER_PAGE = 50;
  const HISTORY = 20;
  const DAY_MS = 86400000;
  const WINDOW_DAYS = 30;

  const OPERATORS = [
    "RefreshCollectionOperator",
    "ReingestContractOperator",
    "ReingestContractsOperator",
    "ReingestSensor",
    "MetadataFreshSensor",
    "NewTokensSensor",
  ];
  const ACTIVE_STATES = ["scheduled", "queued", "running", "deferred", "restarting", "up_for_reschedule", "up_for_retry"];

  // The same as EXPLORERS in links/collection.py, which a test holds up.
  const EXPLORERS = {
    "eth-mainnet": "https://etherscan.io",
    "eth-sepolia": "https://sepolia.etherscan.io",
    "polygon-mainnet": "https://polygonscan.com",
    "polygon-amoy": "https://amoy.polygonscan.com",
    "arb-mainnet": "https://arbiscan.io",
    "opt-mainnet": "https://optimistic.etherscan.io",
    "base-mainnet": "https://basescan.org",
    "base-sepolia": "https://sepolia.basescan.org",
    "bnb-mainnet": "https://bscscan.com",
    "avax-mainnet": "https://snowtrace.io",
    "zksync-mainnet": "https://explorer.zksync.io",
    "linea-mainnet": "https://lineascan.build",
    "scroll-mainnet": "https://scrollscan.com",
    "blast-mainnet": "https://blastscan.io",
    "zora-mainnet": "https://explorer.zora.energy",
    "apechain-mainnet": "https://apescan.io",
    "ronin-mainnet": "https://app.roninchain.com",
    "shape-mainnet": "https://shapescan.xyz",
    "abstract-mainnet": "https://abscan.org",
    "unichain-mainnet": "https://uniscan.xyz",
    "worldchain-mainnet": "https://worldscan.org",
  };

  // In the order in which they need attention, which is how the column sorts.
  const STATES = {
    failed: { label: "Failed", icon: "✕", color: "failed" },
    partial: { label: "Failed in part", icon: "!", color: "warning" },
    running: { label: "Running", icon: "↻", color: "running" },
    never: { label: "Never refreshed", icon: "○", color: "none" },
    old: { label: `Not in ${WINDOW_DAYS} days`, icon: "◷", color: "none" },
    updated: { label: "Updated", icon: "•", color: "none" },
    fresh: { label: "Refreshed", icon: "✓", color: "success" },
  };
  const STATE_ORDER = Object.keys(STATES);

  // ---- Pure parts: no network, no React ----

  function collectionOf(uri) {
    const match = /^alchemy:\/\/([a-z0-9-]+)\/(0x[0-9a-f]{40})$/.exec(uri || "");
    return match && { network: match[1], address: match[2] };
  }

  function shortAddress(address) {
    return `${address.slice(0, 6)}…${address.slice(-4)}`;
  }

  function explorerUrl(network, address) {
    return Object.hasOwn(EXPLORERS, network) ? `${EXPLORERS[network]}/address/${address}` : null;
  }

  function formatNumber(value) {
    return value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en-US");
  }

  function formatUsd(value) {
    if (value === null || value === undefined) return "–";
    const digits = value !== 0 && Math.abs(value) < 0.01 ? 6 : 2;
    const text = value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: digits });
    return `$${text}`;
  }

  function formatAgo(then, now) {
    if (!then) return "never";
    const seconds = Math.max(Math.round((now - then) / 1000), 0);
    for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
      if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
    }
    return `${seconds} s ago`;
  }

  function formatExact(then) {
    return then ? new Date(then).toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC") : "";
  }

  // A batch knows its cost as a whole: each of its collections bears the same share.
  function costOf(event) {
    const extra = event.extra || {};
    const batch = extra.batch;
    const share = (key) => {
      if (typeof extra[key] === "number") return extra[key];
      if (batch && typeof batch[key] === "number" && batch.contracts > 0) return batch[key] / batch.contracts;
      return null;
    };
    return { units: share("compute_units"), usd: share("usd"), isShare: Boolean(batch) };
  }

  function isResult(event) {
    return Boolean(event.extra && event.extra.contract_address && event.extra.state);
  }

  function stateOfEvent(event) {
    if (!isResult(event)) return "updated";
    if (!event.extra.failed_in_part) return "fresh";
    const counts = event.extra.counts;
    return counts && counts.refreshed > 0 ? "partial" : "failed";
  }

  function tokensOf(event) {
    const counts = event && event.extra && event.extra.counts;
    if (!counts || typeof counts.tokens !== "number") return null;
    return { tokens: counts.tokens, proven: counts.refreshed || 0, stale: counts.stale || 0, failed: counts.failed || 0 };
  }

  function provenShare(event) {
    const tokens = tokensOf(event);
    if (tokens) return tokens.tokens ? tokens.proven / tokens.tokens : 1;
    return isResult(event) ? Number(!event.extra.failed_in_part) : null;
  }

  function taskKey(dagId, taskId) {
    return `${dagId}\n${taskId}`;
  }

  function instanceKey(task) {
    return [task.dag_id, task.dag_run_id, task.task_id, task.map_index, task.try_number].join("\n");
  }

  // A mapped task names its one collection; any other task is about all collections that are its outlets.
  function addressOfTask(task) {
    const named = task.rendered_fields && task.rendered_fields.contract_address;
    for (const text of [named, task.rendered_map_index]) {
      const match = typeof text === "string" && /0x[0-9a-f]{40}(?![0-9a-f])/i.exec(text);
      if (match) return match[0].toLowerCase();
    }
    return null;
  }

  function tasksByAsset(tasks, assets) {
    const outlets = new Map();
    for (const asset of assets) {
      for (const producer of asset.producing_tasks || []) {
        const key = taskKey(producer.dag_id, producer.task_id);
        outlets.set(key, [...(outlets.get(key) || []), asset]);
      }
    }
    const found = new Map();
    for (const task of tasks) {
      const candidates = outlets.get(taskKey(task.dag_id, task.task_id)) || [];
      const address = addressOfTask(task);
      for (const asset of candidates) {
        if (candidates.length > 1 && address && collectionOf(asset.uri).address !== address) continue;
        if (candidates.length > 1 && !address && task.map_index >= 0) continue;
        if (!found.has(asset.id)) found.set(asset.id, task);
      }
    }
    return found;
  }

  function countPacked(text) {
    let total = 0;
    for (const run of (text || "").split(",").filter(Boolean)) {
      const [first, last] = run.split("-").map((part) => parseInt(part, 16));
      total += last === undefined ? 1 : last - first + 1;
    }
    return total;
  }

  // What tasks keep in Airflow's task state store; null: they have not got that far.
  function progressOf(entries) {
    for (const { key, value } of entries) {
      const state = value && value.state;
      if (!state) continue;
      if (key === "alchemy_collection") {
        const total = Math.max(state.supply || 0, state.tokens || 0);
        if (total) return Math.min(100, Math.floor((100 * (state.refreshed || 0)) / total));
      } else if (key === "alchemy_batch" && state.contracts) {
        const failed = Object.values(state.failed || {}).reduce((sum, packed) => sum + countPacked(packed), 0);
        return Math.floor((100 * (countPacked(state.finished) + failed)) / state.contracts);
      } else if (typeof state.percent === "number") {
        return Math.floor(state.percent);
      }
    }
    return null;
  }

  function sum(values) {
    const known = values.filter((value) => value !== null && value !== undefined);
    return known.length ? known.reduce((total, value) => total + value, 0) : null;
  }

  function groupEvents(events) {
    const groups = new Map();
    for (const event of events) {
      if (!groups.has(event.asset_id)) groups.set(event.asset_id, []);
      groups.get(event.asset_id).push(event);
    }
    for (const group of groups.values()) group.sort((one, other) => other.at - one.at || other.id - one.id);
    return groups;
  }

  function buildRow(asset, events, running, failedTask, progress, now) {
    const { network, address } = collectionOf(asset.uri);
    // Each task of a mapped operator emits an event for each of its outlets, and only one of them has a result.
    const last = events.find(isResult) || events[0] || null;
    const lastAt = last ? last.at : Date.parse((asset.last_asset_event || {}).timestamp || "") || null;
    const hasFailed = failedTask && Date.parse(failedTask.end_date) > (last ? last.at : 0);
    // Without its event, which may not have been read yet, only the time of a refresh is known.
    let state = last ? stateOfEvent(last) : !lastAt ? "never" : lastAt < now - WINDOW_DAYS * DAY_MS ? "old" : "updated";
    if (hasFailed) state = "failed";
    if (running) state = "running";
    const recent = events.filter((event) => event.at >= now - WINDOW_DAYS * DAY_MS).map(costOf);
    const by = hasFailed
      ? { dag: failedTask.dag_id, run: failedTask.dag_run_id, task: failedTask.task_id, map: failedTask.map_index }
      : last && last.source_dag_id
        ? { dag: last.source_dag_id, run: last.source_run_id, task: last.source_task_id, map: last.source_map_index }
        : null;
    return {
      id: asset.id,
      uri: asset.uri,
      network,
      address,
      name: asset.name && asset.name !== asset.uri ? asset.name : shortAddress(address),
      state,
      progress: running ? progress : null,
      running: running || null,
      failedTask: hasFailed ? failedTask : null,
      tokens: tokensOf(last),
      last,
      lastAt,
      cost: last ? costOf(last) : { units: null, usd: null, isShare: false },
      units30: sum(recent.map((cost) => cost.units)),
      usd30: sum(recent.map((cost) => cost.usd)),
      by,
      producers: [...new Set((asset.producing_tasks || []).map((task) => task.dag_id))].sort(),
      starts: [...new Set((asset.scheduled_dags || []).map((dag) => dag.dag_id))].sort(),
    };
  }

  function buildRows(data, now) {
    const assets = data.assets.filter((asset) => collectionOf(asset.uri));
    const events = groupEvents(data.events);
    const running = tasksByAsset(data.active, assets);
    const failed = tasksByAsset(data.failed, assets);
    return assets.map((asset) => {
      const task = running.get(asset.id);
      const progress = task ? (data.progress[instanceKey(task)] ?? null) : null;
      return buildRow(asset, events.get(asset.id) || [], task, failed.get(asset.id), progress, now);
    });
  }

  function summarize(rows, events, now) {
    const monthStart = Date.UTC(new Date(now).getUTCFullYear(), new Date(now).getUTCMonth(), 1);
    const month = events.filter((event) => event.at >= monthStart).map(costOf);
    const failed = rows.filter(
      (row) =>
        row.failedTask ||
        (row.last && row.last.at > now - DAY_MS && ["failed", "partial"].includes(stateOfEvent(row.last))),
    );
    return {
      collections: rows.length,
      running: rows.filter((row) => row.state === "running").length,
      failed: failed.length,
      units: sum(month.map((cost) => cost.units)),
      usd: sum(month.map((cost) => cost.usd)),
    };
  }

  const SORT_KEYS = {
    name: (row) => row.name.toLowerCase(),
    network: (row) => row.network,
    state: (row) => STATE_ORDER.indexOf(row.state),
    tokens: (row) => (row.tokens ? row.tokens.proven : null),
    last: (row) => row.lastAt,
    cost: (row) => row.cost.units,
    month: (row) => row.units30,
    by: (row) => (row.by ? `${row.by.dag} ${row.by.task}`.toLowerCase() : null),
    starts: (row) => row.starts.join(" ").toLowerCase() || null,
  };

  // Rows without a value come last in both directions: nobody looks for them.
  function sortRows(rows, sort) {
    const isDescending = sort.startsWith("-");
    const keyOf = SORT_KEYS[sort.replace("-", "")] || SORT_KEYS.state;
    const sign = isDescending ? -1 : 1;
    return rows
      .map((row) => [keyOf(row), row])
      .sort(([one, a], [other, b]) => {
        if (one === other) return a.uri < b.uri ? -1 : 1;
        if (one === null) return 1;
        if (other === null) return -1;
        return one < other ? -sign : sign;
      })
      .map(([, row]) => row);
  }

  function filterRows(rows, view) {
    const text = view.q.trim().toLowerCase();
    return rows.filter(
      (row) =>
        (!view.network || row.network === view.network) &&
        (!view.state || row.state === view.state) &&
        (!text ||
          [row.name, row.uri, ...row.producers, ...row.starts].some((part) => part.toLowerCase().includes(text))),
    );
  }

  const FIRST_VIEW = { q: "", network: "", state: "", sort: "state", page: 1, open: 0 };

  function readView(search) {
    const query = new URLSearchParams(search);
    const number = (name, least) => {
      const value = Number(query.get(name));
      return Number.isSafeInteger(value) && value >= least ? value : least;
    };
    const sort = query.get("sort") || "";
    const state = query.get("state") || "";
    return {
      q: query.get("q") || "",
      network: query.get("network") || "",
      state: Object.hasOwn(STATES, state) ? state : "",
      sort: Object.hasOwn(SORT_KEYS, sort.replace("-", "")) ? sort : FIRST_VIEW.sort,
      page: number("page", 1),
      open: number("open", 0),
    };
  }

  function writeView(view, search) {
    const query = new URLSearchParams(search);
    for (const [name, value] of Object.entries(view)) {
      if (value === FIRST_VIEW[name]) query.delete(name);
      else query.set(name, String(value));
    }
    const text = query.toString();
    return text ? `?${text}` : "";
  }

  const logic = {
    EXPLORERS, OPERATORS, STATES, addressOfTask, buildRows, collectionOf, costOf, countPacked, explorerUrl, filterRows,
    formatAgo, formatExact, formatUsd, progressOf, provenShare, readView, shortAddress, sortRows,
    stateOfEvent, summarize, tasksByAsset, writeView,
  };

  // ---- Airflow's REST API ----

  class ApiError extends Error {
    constructor(status, detail) {
      super(detail);
      this.status = status;
    }
  }

  function baseUrl() {
    return document.baseURI;
  }

  async function call(path, { query = {}, method = "GET", body, signal } = {}) {
    const url = new URL(`api/v2/${path}`, baseUrl());
    for (const [name, value] of Object.entries(query)) {
      for (const one of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(one));
    }
    const headers = { Accept: "application/json", ...(body ? { "Content-Type": "application/json" } : {}) };
    let response;
    try {
      response = await fetch(url, { method, headers, signal, credentials: "same-origin", body: body && JSON.stringify(body) });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "Airflow's API server cannot be reached");
    }
    const answer = await response.json().catch(() => null);
    if (response.ok && answer !== null) return answer;
    const detail = answer && answer.detail;
    throw new ApiError(response.status, typeof detail === "string" ? detail : `Airflow answered with HTTP ${response.status}`);
  }

  function pathOfTask(task) {
    return ["dags", task.dag_id, "dagRuns", task.dag_run_id, "taskInstances", task.task_id].map(encodeURIComponent).join("/");
  }

  function readEvent(event) {
    return { ...event, at: Date.parse(event.timestamp) };
  }

  // What the page knows, and when it asks for more. Each change calls `onChange`.
  class Model {
    constructor(onChange, assetId) {
      this.onChange = onChange;
      this.assetId = assetId;
      this.controller = new AbortController();
      this.assets = new Map();
      this.events = new Map();
      this.active = [];
      this.failed = [];
      this.progress = {};
      this.hasStateStore = true;
      this.status = "loading";
      this.error = null;
      this.notices = new Set();
      this.isReadingHistory = false;
      this.historySince = null;
      this.movesUntil = 0;
      this.timer = null;
      this.visibleIds = [];
      this.onVisibility = () => {
        if (!document.hidden) this.poll();
      };
    }

    async start() {
      document.addEventListener("visibilitychange", this.onVisibility);
      await this.load();
    }

    stop() {
      document.removeEventListener("visibilitychange", this.onVisibility);
      clearTimeout(this.timer);
      this.controller.abort();
    }

    get(path, query) {
      return call(path, { query, signal: this.controller.signal });
    }

    data() {
      return {
        assets: [...this.assets.values()],
        events: [...this.events.values()],
        active: this.active,
        failed: this.failed,
        progress: this.progress,
      };
    }

    async load() {
      try {
        const [assets, events, ...rest] = await Promise.allSettled([
          this.readAssets(0),
          this.readEvents(0),
          this.readActive(),
          this.readFailed(),
        ]);
        if (assets.status === "rejected") throw assets.reason;
        for (const one of [events, ...rest]) if (one.status === "rejected") this.note(one.reason);
        this.status = "ready";
        this.onChange();
        await this.readOtherAssets(assets.value);
        this.schedule(0);
        if (events.status === "fulfilled") await this.readHistory(events.value);
      } catch (error) {
        if (error.name === "AbortError") return;
        this.status = error.status === 401 || error.status === 403 ? "denied" : "error";
        this.error = error;
        this.onChange();
      }
    }

    note(error) {
      if (error.name === "AbortError") throw error;
      this.notices.add(
        error.status === 403 ? "You may not see some of this: Airflow refused to show events or tasks" : error.message,
      );
    }

    async readAssets(offset) {
      if (this.assetId) {
        const asset = await this.get(`assets/${this.assetId}`);
        this.assets.set(asset.id, asset);
        return { count: 1, total: 1 };
      }
      const query = { uri_pattern: "alchemy://", order_by: "id", limit: PAGE_LIMIT, offset };
      const answer = await this.get("assets", query);
      for (const asset of answer.assets) if (collectionOf(asset.uri)) this.assets.set(asset.id, asset);
      return { count: answer.assets.length, total: answer.total_entries };
    }

    async readOtherAssets({ count, total }) {
      if (!count || count >= total) return;
      const pages = Math.min(Math.ceil(total / count), MAX_ASSET_PAGES);
      await this.inTurns(pages - 1, 4, async (index) => {
        await this.readAssets((index + 1) * count);
        this.onChange();
      });
    }

    async inTurns(turns, width, work) {
      let next = 0;
      const worker = async () => {
        while (next < turns) await work(next++);
      };
      await Promise.all(Array.from({ length: Math.min(width, turns) }, worker));
    }

    // The default name of a collection's asset is its URI; where authors chose other names, all events are read.
    eventsQuery() {
      if (this.assetId) return { asset_id: this.assetId };
      const isNamed = [...this.assets.values()].some((asset) => !asset.name.startsWith("alchemy://"));
      return isNamed ? {} : { name_pattern: "alchemy://" };
    }

    async readEvents(offset, query = this.eventsQuery()) {
      const since = Date.now() - (WINDOW_DAYS + 1) * DAY_MS;
      // To the day, so that pages fit each other.
      const timestamp_gte = new Date(since - (since % DAY_MS)).toISOString();
      const answer = await this.get("assets/events", { order_by: "-timestamp", timestamp_gte, limit: PAGE_LIMIT, offset, ...query });
      const events = answer.asset_events.map(readEvent);
      for (const event of events) if (collectionOf(event.uri)) this.events.set(event.id, event);
      return { count: events.length, total: answer.total_entries, query };
    }

    async readHistory(first) {
      this.isReadingHistory = true;
      try {
        const query = this.eventsQuery();
        const isSame = JSON.stringify(query) === JSON.stringify(first.query);
        const { count, total } = isSame ? first : await this.readEvents(0, query);
        if (count && count < total) {
          const pages = Math.ceil(Math.min(total, MAX_EVENTS) / count);
          await this.inTurns(pages - 1, 2, async (index) => {
            await this.readEvents((index + 1) * count, query);
            if (index % 5 === 0) this.onChange();
          });
          if (total > MAX_EVENTS) this.historySince = Math.min(...[...this.events.values()].map((event) => event.at));
        }
      } catch (error) {
        this.note(error);
      }
      this.isReadingHistory = false;
      this.onChange();
    }

    async readTasks(query) {
      const tasks = [];
      for (let page = 0; page < MAX_TASK_PAGES; page += 1) {
        const answer = await this.get("dags/~/dagRuns/~/taskInstances", {
          operator: OPERATORS, order_by: "-start_date", limit: PAGE_LIMIT, offset: tasks.length, ...query,
        });
        tasks.push(...answer.task_instances);
        if (!answer.task_instances.length || tasks.length >= answer.total_entries) break;
      }
      return tasks;
    }

    async readActive() {
      this.active = await this.readTasks({ state: ACTIVE_STATES });
    }

    async readFailed() {
      const end_date_gte = new Date(Date.now() - DAY_MS).toISOString();
      this.failed = await this.readTasks({ state: ["failed"], end_date_gte });
    }

    // Tasks of collections that are on the screen first.
    async readProgress() {
      if (!this.hasStateStore) return;
      const byAsset = tasksByAsset(this.active, this.assets.values());
      const shown = this.visibleIds.map((id) => byAsset.get(id)).filter(Boolean);
      const tasks = [...new Set([...shown, ...byAsset.values()])].slice(0, MAX_PROGRESS_REQUESTS);
      const progress = {};
      await Promise.all(
        tasks.map(async (task) => {
          try {
            const query = { map_index: task.map_index };
            const answer = await this.get(`${pathOfTask(task)}/state-store`, query);
            progress[instanceKey(task)] = progressOf(answer.task_state_store);
          } catch (error) {
            if (error.name === "AbortError") throw error;
            // Airflow before 3.3 has no such store, and a task may be gone.
            if (error.status === 404 && error.message === "Not Found") this.hasStateStore = false;
          }
        }),
      );
      this.progress = progress;
    }

    isMoving() {
      return Date.now() < this.movesUntil || tasksByAsset(this.active, this.assets.values()).size > 0;
    }

    schedule(delay = POLL_MS) {
      clearTimeout(this.timer);
      if (this.isMoving() && !document.hidden && !this.controller.signal.aborted) {
        this.timer = setTimeout(() => this.poll(), delay);
      }
    }

    async poll() {
      clearTimeout(this.timer);
      if (this.status !== "ready" || !this.isMoving()) return;
      try {
        const before = new Set(this.active.map(instanceKey));
        await this.readActive();
        for (const task of this.active) before.delete(instanceKey(task));
        if (before.size) this.movesUntil = Math.max(this.movesUntil, Date.now() + 2 * POLL_MS);
        await Promise.all([this.readProgress(), ...(before.size ? [this.readEvents(0), this.readFailed()] : [])]);
        this.lost = false;
      } catch (error) {
        if (error.name === "AbortError") return;
        this.lost = true;
      }
      this.onChange();
      this.schedule();
    }

    async materialize(row) {
      const run = await call(`assets/${row.id}/materialize`, { method: "POST", body: {} });
      this.movesUntil = Date.now() + STARTING_MS;
      this.schedule(1000);
      return run;
    }

    async history(assetId) {
      const query = { asset_id: assetId, order_by: "-timestamp", limit: HISTORY };
      return (await this.get("assets/events", query)).asset_events.map(readEvent);
    }
  }

  // ---- The page ----

  const React = globalThis.React;
  const h = React.createElement;
  const { useEffect, useId, useMemo, useRef, useState } = React;

  const color = (name, part) => `var(--chakra-colors-${name}-${part}, currentColor)`;
  const STYLE = `
.alchemy { color: var(--chakra-colors-fg); padding: 16px; font-size: 14px; line-height: 1.4; height: 100%; overflow: auto; }
.alchemy h1 { font-size: 20px; font-weight: 600; margin: 0; }
.alchemy a { color: var(--chakra-colors-brand-fg, var(--chakra-colors-blue-fg)); }
.alchemy a:hover { text-decoration: underline; }
.alchemy :focus-visible { outline: 2px solid ${color("brand", "focus-ring")}; outline-offset: 1px; }
.alchemy .bar, .alchemy .tiles { display: flex; flex-wrap: wrap; gap: 12px; align-items: end; margin: 12px 0; }
.alchemy .tile { border: 1px solid var(--chakra-colors-border); border-radius: 6px; padding: 8px 14px; min-width: 130px; }
.alchemy .tile b { display: block; font-size: 20px; font-weight: 600; font-variant-numeric: tabular-nums; }
.alchemy .muted { color: var(--chakra-colors-fg-muted); }
.alchemy label { display: flex; flex-direction: column; font-size: 12px; color: var(--chakra-colors-fg-muted); gap: 2px; }
.alchemy input, .alchemy select, .alchemy button.plain { font: inherit; font-size: 14px; color: var(--chakra-colors-fg);
  background: var(--chakra-colors-bg); border: 1px solid var(--chakra-colors-border-emphasized, var(--chakra-colors-border));
  border-radius: 4px; padding: 4px 8px; height: 32px; white-space: nowrap; }
.alchemy button.plain { cursor: pointer; } .alchemy button.plain:hover:enabled { background: var(--chakra-colors-bg-muted); }
.alchemy button:disabled { opacity: .5; cursor: not-allowed; }
.alchemy .scroll { overflow-x: auto; border: 1px solid var(--chakra-colors-border); border-radius: 6px; }
.alchemy table { border-collapse: collapse; width: 100%; }
.alchemy th, .alchemy td { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--chakra-colors-border);
  vertical-align: top; white-space: nowrap; }
.alchemy th { font-weight: 600; white-space: normal; background: var(--chakra-colors-bg-subtle); }
.alchemy th button { font: inherit; font-weight: 600; cursor: pointer; background: none; border: 0; padding: 0; color: inherit; }
.alchemy .number { text-align: right; font-variant-numeric: tabular-nums; }
.alchemy th.number button { text-align: right; } .alchemy th button { text-align: left; }
.alchemy .usd { display: block; font-size: 12px; }
.alchemy td.wrap { white-space: normal; min-width: 120px; overflow-wrap: anywhere; }
.alchemy .state { display: inline-flex; gap: 6px; align-items: center; }
.alchemy .open { cursor: pointer; background: none; border: 0; padding: 0 6px 0 0; color: inherit; width: 22px; }
.alchemy progress { width: 110px; height: 8px; vertical-align: middle; accent-color: ${color("running", "solid")}; }
.alchemy .detail { background: var(--chakra-colors-bg-subtle); padding: 12px; display: flex; flex-wrap: wrap; gap: 24px; }
.alchemy .detail td, .alchemy .detail th { padding: 3px 8px; }
.alchemy .message { border: 1px solid var(--chakra-colors-border); border-radius: 6px; padding: 24px; margin: 12px 0; max-width: 720px; }
.alchemy .message h2 { font-weight: 600; font-size: 16px; margin: 0 0 6px; } .alchemy .message p { margin: 6px 0; }
.alchemy .notice { padding: 8px 12px; border-left: 3px solid ${color("warning", "solid")}; margin: 8px 0; }
.alchemy .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;

  // A link inside Airflow, without loading its UI again where it shares its router (3.2 and newer).
  function AirflowLink({ to, children, ...props }) {
    const Link = (globalThis.ReactRouterDOM || {}).Link;
    return Link ? h(Link, { to: `/${to}`, ...props }, children) : h("a", { href: new URL(to, baseUrl()).href, ...props }, children);
  }

  function TaskLink({ by }) {
    if (!by) return "–";
    const part = encodeURIComponent;
    const mapped = by.map >= 0 ? `/mapped/${by.map}` : "";
    const to = `dags/${part(by.dag)}/runs/${part(by.run)}/tasks/${part(by.task)}${mapped}`;
    const title = `Run ${by.run}${by.map >= 0 ? `, map index ${by.map}` : ""}`;
    return h(AirflowLink, { to, title }, `${by.dag} / ${by.task}`);
  }

  function State({ state, children }) {
    const { label, icon, color: name } = STATES[state];
    return h("span", { className: "state" },
      h("span", { "aria-hidden": true, style: { color: color(name, "fg"), fontWeight: 700 } }, icon), label, children);
  }

  function Time({ at, now }) {
    return at ? h("time", { dateTime: new Date(at).toISOString(), title: formatExact(at) }, formatAgo(at, now)) : "never";
  }

  function Tokens({ tokens }) {
    if (!tokens) return "–";
    const label = `${formatNumber(tokens.proven)} proven, ${formatNumber(tokens.stale)} stale, ${formatNumber(tokens.failed)} failed`;
    return h("span", { title: label },
      h("span", { "aria-hidden": true }, [tokens.proven, tokens.stale, tokens.failed].map(formatNumber).join(" / ")),
      h("span", { className: "hidden" }, label));
  }

  function Cost({ cost }) {
    if (cost.units === null) return "–";
    return h("span", { title: cost.isShare ? "The collection's share of its batch" : undefined },
      `${cost.isShare ? "≈ " : ""}${formatNumber(cost.units)} CU`,
      cost.usd !== null && h("span", { className: "muted usd" }, formatUsd(cost.usd)));
  }

  function Progress({ row }) {
    if (row.state !== "running") return null;
    const label = `Progress of ${row.name}`;
    const known = row.progress !== null;
    return h("div", null,
      h("progress", { "aria-label": label, max: 100, ...(known ? { value: row.progress } : {}) }),
      h("span", { className: "muted" }, known ? ` ${row.progress} %` : ` ${row.running.state}`));
  }

  function Chart({ events }) {
    const shown = events.filter(isResult).slice(0, HISTORY).reverse();
    if (shown.length < 2) return null;
    const width = 320, height = 90, step = width / shown.length;
    const units = shown.map((event) => costOf(event).units || 0);
    const most = Math.max(...units, 1);
    const shares = shown.map(provenShare);
    const y = (share) => height - 4 - share * (height - 8);
    const points = shares.map((share, index) => `${(index + 0.5) * step},${y(share)}`).join(" ");
    const label = `Cost of the last ${shown.length} refreshes, at most ${formatNumber(most)} compute units; ` +
      `proven share ${Math.round(100 * shares[0])} % at first, ${Math.round(100 * shares.at(-1))} % at last`;
    return h("figure", { style: { margin: 0 } },
      h("svg", { role: "img", "aria-label": label, width, height, viewBox: `0 0 ${width} ${height}` },
        units.map((value, index) =>
          h("rect", { key: index, x: index * step + 1, width: Math.max(step - 2, 1), y: height - (value / most) * height,
            height: (value / most) * height, fill: color("blue", "muted") },
            h("title", null, `${formatExact(shown[index].at)}: ${formatNumber(value)} CU`))),
        h("polyline", { points, fill: "none", stroke: color("success", "solid"), strokeWidth: 2 })),
      h("figcaption", { className: "muted" }, "Bars: compute units. Line: share of tokens proven fresh."));
  }

  function Reasons({ event }) {
    const failures = Object.entries((event.extra || {}).failures || {});
    return failures.length ? failures.map(([reason, count]) => `${reason}: ${formatNumber(count)}`).join(", ") : "–";
  }

  function Detail({ row, model, now }) {
    const [events, setEvents] = useState(null);
    const [error, setError] = useState(null);
    const lastId = row.last ? row.last.id : 0;
    useEffect(() => {
      let isCurrent = true;
      model.history(row.id).then(
        (found) => isCurrent && setEvents(found),
        (reason) => isCurrent && reason.name !== "AbortError" && setError(reason),
      );
      return () => {
        isCurrent = false;
      };
    }, [model, row.id, lastId]);
    const task = row.failedTask;
    return h("div", { className: "detail" },
      task && h("p", { className: "notice", style: { flexBasis: "100%" } },
        "The last try failed ", h(Time, { at: Date.parse(task.end_date), now }), ": see the log of ", h(TaskLink, { by: row.by }), "."),
      error && h("p", { role: "alert" }, `The history cannot be read: ${error.message}.`),
      !events && !error && h("p", { className: "muted" }, "Reading the last refreshes…"),
      events && !events.length && h("p", null, "There is no refresh that you may see."),
      events && events.length > 0 && h("table", { style: { width: "auto" } },
        h("caption", { className: "hidden" }, `The last refreshes of ${row.name}`),
        h("thead", null, h("tr", null,
          ["When", "State", "Proven / stale / failed", "Failures by reason", "Cost", "Task"].map((title) =>
            h("th", { key: title, scope: "col" }, title)))),
        h("tbody", null, events.map((event) => {
          const cost = costOf(event);
          const by = event.source_dag_id && {
            dag: event.source_dag_id, run: event.source_run_id, task: event.source_task_id, map: event.source_map_index,
          };
          return h("tr", { key: event.id },
            h("td", null, h(Time, { at: event.at, now })),
            h("td", null, h(State, { state: stateOfEvent(event) })),
            h("td", { className: "number" }, h(Tokens, { tokens: tokensOf(event) })),
            h("td", { className: "wrap" }, h(Reasons, { event })),
            h("td", { className: "number" }, h(Cost, { cost })),
            h("td", null, by ? h(TaskLink, { by }) : "Airflow's API"));
        }))),
      events && h(Chart, { events }),
      h("p", { className: "muted", style: { flexBasis: "100%" } }, row.uri));
  }

  function RefreshNow({ row, model, siblings }) {
    const [step, setStep] = useState({ name: "idle" });
    const dag = row.producers[0];
    const reason = row.producers.length === 0
      ? "No DAG has this collection as an outlet"
      : row.producers.length > 1
        ? `Several DAGs refresh it: ${row.producers.join(", ")}. Start one of them`
        : `Start DAG ${dag}`;
    const begin = () => {
      setStep({ name: "starting" });
      model.materialize(row).then(
        (run) => setStep({ name: "started", run }),
        (error) => setStep({
          name: "refused",
          text: error.status === 403 ? `You may not start DAG ${dag}` : error.message,
        }),
      );
    };
    if (step.name === "asking") {
      const others = siblings > 1 ? ` It refreshes ${formatNumber(siblings)} collections.` : "";
      return h("div", { role: "group", "aria-label": `Refresh ${row.name} now`, onKeyDown: (event) => event.key === "Escape" && setStep({ name: "idle" }) },
        h("div", null, `Start DAG ${dag}?${others}`),
        h("button", { type: "button", className: "plain", autoFocus: true, onClick: begin }, "Start"), " ",
        h("button", { type: "button", className: "plain", onClick: () => setStep({ name: "idle" }) }, "Cancel"));
    }
    return h("div", null,
      h("button", {
        type: "button", className: "plain", title: reason, "aria-label": `Refresh ${row.name} now`,
        disabled: row.producers.length !== 1 || step.name === "starting", onClick: () => setStep({ name: "asking" }),
      }, step.name === "starting" ? "Starting…" : "Refresh now"),
      h("div", { role: "status" },
        step.name === "refused" && step.text,
        step.name === "started" && h(AirflowLink, {
          to: `dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(step.run.dag_run_id)}`,
        }, "Run started")));
  }

  const COLUMNS = [
    ["name", "Collection"],
    ["network", "Network"],
    ["state", "State"],
    ["tokens", "Tokens: proven / stale / failed"],
    ["last", "Last refresh"],
    ["cost", "Cost"],
    ["month", `${WINDOW_DAYS} days`],
    ["by", "Refreshed by"],
    ["starts", "Starts"],
  ];
  const NUMBERS = new Set(["tokens", "cost", "month"]);

  function Header({ id, title, view, onSort }) {
    const current = view.sort.replace("-", "") === id;
    const isDescending = view.sort.startsWith("-");
    const sort = current ? (isDescending ? id : `-${id}`) : NUMBERS.has(id) || id === "last" ? `-${id}` : id;
    return h("th", { scope: "col", "aria-sort": current ? (isDescending ? "descending" : "ascending") : "none",
      className: NUMBERS.has(id) ? "number" : undefined },
      h("button", { type: "button", onClick: () => onSort(sort) }, title, h("span", { "aria-hidden": true }, current ? (isDescending ? " ▾" : " ▴") : "")));
  }

  function Row({ row, isOpen, onToggle, model, now, siblings }) {
    const detailId = useId();
    const explorer = explorerUrl(row.network, row.address);
    return h(React.Fragment, null,
      h("tr", null,
        h("td", null,
          h("button", { type: "button", className: "open", "aria-expanded": isOpen, "aria-controls": detailId,
            "aria-label": `History of ${row.name}`, onClick: onToggle }, isOpen ? "▾" : "▸"),
          h(AirflowLink, { to: `assets/${row.id}`, title: row.uri }, row.name),
          explorer && h("a", { href: explorer, target: "_blank", rel: "noreferrer noopener", style: { marginLeft: 6 },
            "aria-label": `${row.name} in the block explorer` }, "↗")),
        h("td", null, row.network),
        h("td", null, h(State, { state: row.state }), h(Progress, { row })),
        h("td", { className: "number" }, h(Tokens, { tokens: row.tokens })),
        h("td", null, h(Time, { at: row.lastAt, now })),
        h("td", { className: "number" }, h(Cost, { cost: row.cost })),
        h("td", { className: "number" }, h(Cost, { cost: { units: row.units30, usd: row.usd30 } })),
        h("td", { className: "wrap" }, h(TaskLink, { by: row.by })),
        h("td", { className: "wrap" }, row.starts.length
          ? row.starts.map((dag, index) => h(React.Fragment, { key: dag }, index > 0 && ", ",
            h(AirflowLink, { to: `dags/${encodeURIComponent(dag)}` }, dag)))
          : "–"),
        h("td", null, h(RefreshNow, { row, model, siblings }))),
      h("tr", { id: detailId, hidden: !isOpen },
        isOpen && h("td", { colSpan: COLUMNS.length + 1, style: { padding: 0 } }, h(Detail, { row, model, now }))));
  }

  function Message({ title, children, role }) {
    return h("div", { className: "message", role }, h("h2", null, title), children);
  }

  function Tile({ label, value }) {
    return h("div", { className: "tile" }, h("span", { className: "muted" }, label), h("b", null, value));
  }

  function Problem({ model, onReload }) {
    const { status, error } = model;
    const again = h("p", null, h("button", { type: "button", className: "plain", onClick: onReload }, "Try again"));
    if (status === "denied" && error.status === 401) {
      return h(Message, { title: "Your session has ended", role: "alert" }, h("p", null, "Load the page again to sign in."), again);
    }
    if (status === "denied") {
      return h(Message, { title: "You may not see assets", role: "alert" },
        h("p", null, "Collections are assets of Airflow. Ask your administrator for the permission to read assets."));
    }
    if (error.status === 404) return h(Message, { title: "There is no such asset", role: "alert" }, again);
    return h(Message, { title: "The collections cannot be read", role: "alert" },
      h("p", null, `${error.message}.`), h("p", null, "If it stays so, look into the log of Airflow's API server."), again);
  }

  function Empty({ isAssetTab }) {
    if (isAssetTab) {
      return h(Message, { title: "This asset is not a collection" },
        h("p", null, "Assets with a URI such as alchemy://eth-mainnet/0x… have their refreshes here."));
    }
    return h(Message, { title: "There are no collections yet" },
      h("p", null, "A collection comes here when a DAG names it, for instance as the outlet of a task:"),
      h("pre", null, "from airflow_provider_alchemy.assets import collection\n\nRefreshCollectionOperator(..., outlets=[collection(\"0x…\")])"));
  }

  // The browser's address has filter and order, so that a view can be shared. Airflow's router keeps its own notes in
  // history.state, which stay.
  function useView(isKept) {
    const [view, setView] = useState(() => (isKept ? readView(location.search) : FIRST_VIEW));
    const change = (part) => setView((old) => ({ ...old, page: 1, ...part }));
    useEffect(() => {
      if (!isKept) return;
      const search = writeView(view, location.search);
      if (search !== location.search) history.replaceState(history.state, "", location.pathname + search + location.hash);
    }, [view, isKept]);
    return [view, change];
  }

  function useModel(assetId) {
    const [, setVersion] = useState(0);
    const [round, setRound] = useState(0);
    const model = useMemo(() => new Model(() => setVersion((version) => version + 1), assetId), [assetId, round]);
    useEffect(() => {
      model.start();
      return () => model.stop();
    }, [model]);
    return [model, () => setRound(round + 1)];
  }

  function Filters({ view, change, networks, onReload, isReading }) {
    return h("div", { className: "bar", role: "search", "aria-label": "Collections" },
      h("label", null, "Filter",
        h("input", { type: "search", value: view.q, placeholder: "Name, address or DAG", onChange: (event) => change({ q: event.target.value }) })),
      h("label", null, "Network",
        h("select", { "aria-label": "Network", value: view.network, onChange: (event) => change({ network: event.target.value }) },
          h("option", { value: "" }, "All"), networks.map((network) => h("option", { key: network, value: network }, network)))),
      h("label", null, "State",
        h("select", { "aria-label": "State", value: view.state, onChange: (event) => change({ state: event.target.value }) },
          h("option", { value: "" }, "All"), STATE_ORDER.map((state) => h("option", { key: state, value: state }, STATES[state].label)))),
      h("button", { type: "button", className: "plain", onClick: onReload }, "Reload"),
      isReading && h("span", { className: "muted" }, "Reading earlier refreshes…"));
  }

  function Pages({ page, pages, total, onPage }) {
    if (pages < 2) return null;
    return h("nav", { className: "bar", "aria-label": "Pages of collections", style: { alignItems: "center" } },
      h("button", { type: "button", className: "plain", disabled: page <= 1, onClick: () => onPage(page - 1) }, "Previous"),
      h("span", null, `Page ${page} of ${pages}, ${formatNumber(total)} collections`),
      h("button", { type: "button", className: "plain", disabled: page >= pages, onClick: () => onPage(page + 1) }, "Next"));
  }

  function Collections({ model, onReload, isAssetTab }) {
    const [view, change] = useView(!isAssetTab);
    const now = Date.now();
    const data = model.data();
    const rows = buildRows(data, now);
    if (!rows.length) return h(Empty, { isAssetTab });
    const totals = summarize(rows, data.events, now);
    const found = sortRows(filterRows(rows, view), view.sort);
    const pages = Math.max(Math.ceil(found.length / ROWS_PER_PAGE), 1);
    const page = Math.min(view.page, pages);
    const shown = found.slice((page - 1) * ROWS_PER_PAGE, page * ROWS_PER_PAGE);
    model.visibleIds = shown.map((row) => row.id);
    const outlets = new Map();
    for (const row of rows) for (const dag of row.producers) outlets.set(dag, (outlets.get(dag) || 0) + 1);
    const networks = [...new Set(rows.map((row) => row.network))].sort();
    const open = isAssetTab ? rows[0].id : view.open;
    return h(React.Fragment, null,
      !isAssetTab && h("div", { className: "tiles" },
        h(Tile, { label: "Collections", value: formatNumber(totals.collections) }),
        h(Tile, { label: "Running now", value: formatNumber(totals.running) }),
        h(Tile, { label: "Failed in 24 hours", value: formatNumber(totals.failed) }),
        h(Tile, { label: "Compute units this month", value: formatNumber(totals.units) }),
        totals.usd !== null && h(Tile, { label: "Cost this month", value: formatUsd(totals.usd) })),
      !isAssetTab && h(Filters, { view, change, networks, onReload, isReading: model.isReadingHistory }),
      [...model.notices].map((notice) => h("p", { key: notice, className: "notice", role: "status" }, `${notice}.`)),
      model.lost && h("p", { className: "notice", role: "status" }, "Airflow does not answer. Trying again…"),
      model.historySince && h("p", { className: "notice", role: "status" },
        `There are more than ${formatNumber(MAX_EVENTS)} events: sums of ${WINDOW_DAYS} days and of the month begin at ${formatExact(model.historySince)}.`),
      h("p", { className: "hidden", role: "status" },
        `${formatNumber(found.length)} of ${formatNumber(rows.length)} collections, ${formatNumber(totals.running)} running`),
      found.length === 0
        ? h(Message, { title: "No collection fits the filter" },
          h("button", { type: "button", className: "plain", onClick: () => change({ q: "", network: "", state: "" }) }, "Clear the filter"))
        : h("div", { className: "scroll" }, h("table", null,
          h("caption", { className: "hidden" }, "Collections and their last refreshes"),
          h("thead", null, h("tr", null,
            COLUMNS.map(([id, title]) => h(Header, { key: id, id, title, view, onSort: (sort) => change({ sort }) })),
            h("th", { scope: "col" }, h("span", { className: "hidden" }, "Action")))),
          h("tbody", null, shown.map((row) =>
            h(Row, { key: row.id, row, model, now, isOpen: row.id === open, siblings: outlets.get(row.producers[0]) || 0,
              onToggle: () => change({ page, open: row.id === open ? 0 : row.id }) }))))),
      h(Pages, { page, pages, total: found.length, onPage: (next) => change({ page: next }) }));
  }

  function AlchemyPage({ assetId }) {
    const id = assetId ? Number(assetId) : null;
    const [model, reload] = useModel(id);
    return h("div", { className: "alchemy" },
      h("style", null, STYLE),
      !id && h("h1", null, "Alchemy"),
      model.status === "loading"
        ? h("p", { role: "status", className: "muted", style: { marginTop: 12 } }, "Reading the collections…")
        : model.status === "ready"
          ? h(Collections, { model, onReload: reload, isAssetTab: Boolean(id) })
          : h(Problem, { model, onReload: reload }));
  }

  AlchemyPage.logic = logic;
  globalThis.AirflowPlugin = AlchemyPage;
})();
