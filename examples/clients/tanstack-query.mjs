// TanStack Query: the list page by page; creates, edits and deletions are shown at once, and what is refused goes back
// to the task as the service has it, or as it was. `api` ends in /api/me, `token()` returns a token, `client` is yours.
export function todo(api, token, client) {
  const key = ["tasks", api];
  async function send(method, path, body, headers) {
    const sent = { Authorization: `Bearer ${await token()}`, "Content-Type": "application/json", ...headers };
    const answer = await fetch(new URL(path, `${api}/`), { method, headers: sent, body: body && JSON.stringify(body) });
    if (answer.ok) return answer;
    throw Object.assign(new Error(), await answer.json(), { status: answer.status });
  }
  // Shows `task` in the place of `one`, or in front; null takes it out.
  function show(one, task) {
    const same = (other) => (one.uid ? other.uid === one.uid : other.id === one.id);
    client.setQueryData(key, (list) => {
      const changed = (tasks) => tasks.flatMap((other) => (same(other) ? (task ?? []) : other));
      const pages = list?.pages.map((page) => ({ ...page, tasks: changed(page.tasks) }));
      if (task && list && !list.pages.some((page) => page.tasks.some(same))) pages[0].tasks.unshift(task);
      return list && { ...list, pages };
    });
  }
  const name = (task) => encodeURIComponent(task.uid ?? task.id);
  const stop = () => client.cancelQueries({ queryKey: key }); // an answer on its way is older than the change
  // Changes are sent one after the other; an edit of a task whose edit still waits is based on what that one makes of it.
  const made = new Map(), latest = (seen) => (made.get(seen) > seen ? latest(made.get(seen)) : seen);
  const onSettled = () => client.isMutating({ mutationKey: key }) === 1 && made.clear(); // nothing waits any more
  const inOrder = (mutation) => ({ scope: { id: api }, mutationKey: key, onSettled, ...mutation });
  return {
    list: (query = "?limit=100") => ({ // for useInfiniteQuery
      queryKey: key,
      initialPageParam: `tasks${query}`,
      queryFn: async ({ pageParam }) => {
        const answer = await send("GET", pageParam), next = /<(.*?)>; rel="next"/.exec(answer.headers.get("Link"))?.[1];
        return { tasks: await answer.json(), next: next && new URL(next, answer.url).href };
      },
      getNextPageParam: (page) => page.next,
    }),
    // For useMutation; each can be sent again, so `retry` is safe. Give a new task a uid: crypto.randomUUID().
    create: inOrder({
      mutationFn: async (task) => (await send("PUT", `tasks/${name(task)}`, task, { "If-None-Match": "*" })).json(),
      onMutate: async (task) => (await stop(), show(task, { completed: false, tags: [], priority: "none", ...task })),
      onSuccess: (task) => show(task, task),
      onError: (problem, task) => show(task, problem.current ?? null), // "exists": it was sent before
    }),
    edit: inOrder({
      mutationFn: async ({ task, edit }) => {
        const base = latest(task.revision); // none for a task that still waits for its creation
        const edited = await (await send("PATCH", `tasks/${name(task)}`, edit, base && { "If-Match": `"${base}"` })).json();
        return made.set(base, edited.revision) && edited;
      },
      onMutate: async ({ task, edit }) => (await stop(), show(task, { ...task, ...edit })),
      onSuccess: (task) => show(task, task),
      onError: (problem, { task }) => show(task, [404, 410].includes(problem.status) ? null : problem.current ?? task),
    }),
    remove: inOrder({
      mutationFn: (task) => send("DELETE", `tasks/${name(task)}`),
      onMutate: async (task) => (await stop(), show(task, null)),
      onError: (problem, task) => [404, 410].includes(problem.status) || show(task, task),
    }),
  };
}
