// The API key: in this tab's sessionStorage and nowhere else.

const NAME = "anyhook.key";

export const key = () => sessionStorage.getItem(NAME);

export const keep = (text) => sessionStorage.setItem(NAME, text);

export const forget = () => sessionStorage.removeItem(NAME);
