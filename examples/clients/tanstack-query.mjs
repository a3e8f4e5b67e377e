// TanStack Query: the list page by page, and creates, edits and deletions that are shown at once.
// What is refused goes back to the task as the service has it (`current`), or as it was.
// `api` ends with the user (…/api/me), `token()` returns a token, `client` is the QueryClient.
export function todo(api, token, client) {
  const key = ["tasks", api];
  async function send(method, path, body, headers) {
    const answer = await fetch(new URL(path, `${api}/`), {
      method,
      headers: { Authorization: `Bearer ${await token()}`, "Content-Type": "application/json", ...headers },
      body: body && JSON.stringify(body),
    });
    if (!answer.ok) throw Object.assign(new Error(), await answer.json(), { status: answer.status });
    return answer;
  }
  // Shows `task` in the place of `one`, or in front; null takes it out.
  function show(one, task) {
    const same = (other) => (one.uid ? other.uid === one.uid : other.id === one.id);
    client.setQueryData(key, (list) => {
      const known = list?.pages.some((page) => page.tasks.some(same));
      const changed = (tasks) => tasks.flatMap((other) => (same(other) ? (task ?? []) : other));
      const pages = list?.pages.map((page) => ({ ...page, tasks: changed(page.tasks) }));
      if (list && !known && task) pages[0].tasks.unshift(task);
      return list && { ...list, pages };
    });
  }
  const name = (task) => encodeURIComponent(task.uid ?? task.id);
  const stop = () => client.cancelQueries({ queryKey: key }); // an answer on its way is older than the change
  return {
    // For useInfiniteQuery.
    list: (query = "?limit=100") => ({
      queryKey: key,
      initialPageParam: `tasks${query}`,
      queryFn: async ({ pageParam }) => {
        const answer = await send("GET", pageParam);
        const next = answer.headers.get("Link")?.match(/<(.*?)>; rel="next"/)?.[1];
        return { tasks: await answer.json(), next: next && new URL(next, answer.url).href };
      },
      getNextPageParam: (page) => page.next,
    }),
    // For useMutation; each can be sent again, so `retry` is safe. Give a new task a uid: crypto.randomUUID().
    create: {
      mutationFn: async (task) => (await send("PUT", `tasks/${name(task)}`, task, { "If-None-Match": "*" })).json(),
      onMutate: async (task) => (await stop(), show(task, { completed: false, tags: [], priority: "none", ...task })),
      onSuccess: (task) => show(task, task),
      onError: (problem, task) => show(task, problem.current ?? null), // "exists": it was sent before
    },
    edit: {
      mutationFn: async ({ task, edit }) =>
        (await send("PATCH", `tasks/${name(task)}`, edit, { "If-Match": `"${task.revision}"` })).json(),
      onMutate: async ({ task, edit }) => (await stop(), show(task, { ...task, ...edit })),
      onSuccess: (task) => show(task, task),
      onError: (problem, { task }) => show(task, [404, 410].includes(problem.status) ? null : problem.current ?? task),
    },
    remove: {
      mutationFn: (task) => send("DELETE", `tasks/${name(task)}`),
      onMutate: async (task) => (await stop(), show(task, null)),
      onError: (problem, task) => [404, 410].includes(problem.status) || show(task, task),
    },
  };
}
