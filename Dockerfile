# The operator's image: docker build -t REGISTRY/clusterkit-operator:TAG .
FROM python:3.13-slim
COPY . /src
RUN pip install --no-cache-dir -c /src/constraints.txt '/src[operator,eks,gke,aks,alibaba]'
USER 65532
ENTRYPOINT ["clusterkit"]
