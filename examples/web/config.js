// Where the service is. Behind one proxy with the page, this is right as it stands; `make demo` serves another answer.
export const api = "/api/me";
// Answers a POST that has the old token with {"token": a fresh one}; null where nothing does.
export const renewal = null;
