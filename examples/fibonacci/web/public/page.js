// The page: asks for an index, and shows what the worker has computed as soon as it is there.
const form = document.querySelector('#ask');
const field = document.querySelector('#index');
const message = document.querySelector('#message');
const body = document.querySelector('#values');
const empty = document.querySelector('#empty');
let timer;

function say(text, isError = false) {
  message.textContent = text;
  message.classList.toggle('error', isError);
}

function row({ index, value }) {
  const line = document.createElement('tr');
  const number = document.createElement('td');
  number.textContent = value ?? 'computing…';
  number.classList.toggle('pending', value === null);
  const heading = document.createElement('th');
  heading.scope = 'row';
  heading.textContent = index;
  line.append(heading, number);
  return line;
}

async function call(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `the server answered ${response.status}`);
  return answer;
}

async function refresh() {
  clearTimeout(timer);
  let wait = 10_000;
  try {
    const { values } = await call('/api/values');
    body.replaceChildren(...values.map(row));
    empty.hidden = values.length > 0;
    if (values.some((entry) => entry.value === null)) wait = 500;
    if (message.classList.contains('error')) say('');
  } catch (error) {
    // What became of the visitor's own request is more than that.
    if (!message.classList.contains('error')) say(`The list could not be loaded: ${error.message}. Trying again.`, true);
    wait = 2000;
  }
  timer = setTimeout(refresh, wait);
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const index = field.valueAsNumber;
  try {
    await call('/api/values', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ index }) });
    say(`Asked for index ${index}.`);
    form.reset();
    field.focus();
    await refresh();
  } catch (error) {
    say(`Index ${index} could not be asked for: ${error.message}.`, true);
  }
});

refresh();
