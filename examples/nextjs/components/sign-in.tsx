"use client";

import { useRouter } from "next/navigation";
import { type FormEvent, useState } from "react";
import { authClient } from "@/lib/auth-client";

export function SignIn() {
  const router = useRouter();
  const [isNew, setNew] = useState(true);
  const [error, setError] = useState("");

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const [email, password] = [String(form.get("email")), String(form.get("password"))];
    const result = isNew
      ? await authClient.signUp.email({ email, password, name: email.split("@")[0] ?? email })
      : await authClient.signIn.email({ email, password });
    if (result.error) setError(result.error.message ?? "Try again.");
    else router.refresh();
  }

  return (
    <form className="card" onSubmit={submit}>
      <h1>{isNew ? "Create an account" : "Sign in"}</h1>
      <label>
        Email <input name="email" type="email" autoComplete="email" required />
      </label>
      <label>
        Password <input name="password" type="password" autoComplete={isNew ? "new-password" : "current-password"} required />
      </label>
      {error && <p role="alert">{error}</p>}
      <button>{isNew ? "Sign up" : "Sign in"}</button>
      <button type="button" className="link" onClick={() => setNew(!isNew)}>
        {isNew ? "I have an account" : "I am new"}
      </button>
    </form>
  );
}
