# The page and the service: docs/serving.md. Nothing in it runs as root, and nothing is written but temporary files.
FROM python:3.11-slim
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt '.[serve,audio]' \
 && useradd --create-home listener
USER listener
WORKDIR /home/listener
EXPOSE 8000
ENTRYPOINT ["lung-srad"]
CMD ["serve", "--host", "0.0.0.0"]
