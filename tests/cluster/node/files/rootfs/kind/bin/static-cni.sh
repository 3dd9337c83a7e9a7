#!/bin/bash
# Stands in for kindnetd. Once the node has its pod range and kube-proxy has programmed the Services, it writes the CNI
# configuration (the node turns Ready only then); afterwards it keeps a route to every other node's pod range.
kubectl="kubectl --kubeconfig=/etc/kubernetes/kubelet.conf"
conflist=/etc/cni/net.d/10-static.conflist
node=$(hostname)

until cidr=$($kubectl get node "$node" -o 'jsonpath={.spec.podCIDR}' 2>/dev/null) && [ -n "$cidr" ]; do sleep 0.5; done
if [ ! -f $conflist ]; then
  until curl -sf -o /dev/null http://127.0.0.1:10256/healthz; do sleep 0.5; done
  sed "s#PODCIDR#$cidr#" /kind/cni-conflist.tmpl > /etc/cni/net.d/.new && mv /etc/cni/net.d/.new $conflist
fi
while sleep 3; do
  $kubectl get nodes -o 'jsonpath={range .items[*]}{.metadata.name} {.spec.podCIDR} {.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}' 2>/dev/null |
    while read -r other range address _; do
      [ "$other" != "$node" ] && [ -n "$address" ] && ip route replace "$range" via "$address"
    done
done
