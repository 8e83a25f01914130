# The commands of the guide "Container Debugging", as printed; its page lost line breaks, and the backslashes before them.
# A line `#@ name` begins each; guides.test.ts pastes them into a shell with `main` for {groupFolder}.

#@ Missing Authentication
cat .env # Should show one of:

#@ Environment Variables Not Passing
echo '{}' | docker run -i \
  -v $(pwd)/data/env:/workspace/env-dir:ro \
  --entrypoint /bin/bash nanoclaw-agent:latest \
  -c 'export $(cat /workspace/env-dir/env | xargs); echo "OAuth: ${#CLAUDE_CODE_OAUTH_TOKEN} chars, API: ${#ANTHROPIC_API_KEY} chars"'

#@ Mount Issues
docker run --rm --entrypoint /bin/bash nanoclaw-agent:latest -c 'ls -la /workspace/'

#@ Permission Issues
docker run --rm --entrypoint /bin/bash nanoclaw-agent:latest -c '
  whoami
  ls -la /workspace/
  ls -la /app/
'

#@ Check the mount path
# In container-runner.ts, verify mount is to /home/node/.claude/, NOT /root/.claude/
grep -A3 "Claude sessions" src/container-runner.ts

#@ Verify sessions are accessible
docker run --rm --entrypoint /bin/bash \
  -v ~/.claude:/home/node/.claude \
  nanoclaw-agent:latest -c '
echo "HOME=$HOME"
ls -la $HOME/.claude/projects/ 2>&1 | head -5
'

#@ Set up env file
mkdir -p data/env groups/test
cp .env data/env/env

#@ Run test query
echo '{"prompt":"What is 2+2?","groupFolder":"test","chatJid":"test@g.us","isMain":false}' |
  docker run -i \
  -v $(pwd)/data/env:/workspace/env-dir:ro \
  -v $(pwd)/groups/test:/workspace/group \
  -v $(pwd)/data/ipc:/workspace/ipc \
  nanoclaw-agent:latest

#@ Test Claude Code directly
docker run --rm --entrypoint /bin/bash \
  -v $(pwd)/data/env:/workspace/env-dir:ro \
  nanoclaw-agent:latest -c '
  export $(cat /workspace/env-dir/env | xargs)
  claude -p "Say hello" --dangerously-skip-permissions --allowedTools ""
'

#@ Interactive shell in container
docker run --rm -it --entrypoint /bin/bash nanoclaw-agent:latest

#@ Rebuild main app
npm run build

#@ Rebuild container
./container/build.sh

#@ Or force full rebuild
docker builder prune -af
./container/build.sh

#@ List images
docker images

#@ Check what's in the image
docker run --rm --entrypoint /bin/bash nanoclaw-agent:latest -c '
  echo "=== Node version ==="
  node --version

  echo "=== Claude Code version ==="
  claude --version

  echo "=== Installed packages ==="
  ls /app/node_modules/
'

#@ Clear all sessions for all groups
rm -rf data/sessions/

#@ Clear sessions for a specific group
rm -rf data/sessions/{groupFolder}/.claude/

#@ Also clear the session ID
sqlite3 store/messages.db "DELETE FROM sessions WHERE group_folder = '{groupFolder}'"

#@ Verify session resumption
grep "Session initialized" logs/nanoclaw.log | tail -5

#@ Check pending messages
ls -la data/ipc/messages/

#@ Check pending task operations
ls -la data/ipc/tasks/

#@ Read a specific IPC file
cat data/ipc/messages/*.json

#@ Check available groups
cat data/ipc/main/available_groups.json

#@ Check current tasks snapshot
cat data/ipc/{groupFolder}/current_tasks.json
