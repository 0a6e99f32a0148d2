"""Small price lists in the layouts of public tools."""

SKYPILOT = """\
InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice
cpu-d3,,0,4,16,0.0992,eu-north1,,
gpu-h100-sxm_8gpu,H100,8,128,1600,23.60,eu-north1,"{'Gpus': [{'Name': 'H100', 'MemoryInfo': {'SizeInMiB': 81920}}]}",10.00
gpu-l40s-a_1gpu,L40S,1,8,32,1.5484,eu-north1,,0.15484
gpu-k,Quantum 9,1,8,32,1.5,eu-north1,,
gpu-b200,B200,8,160,1792,,us-central1,,
"""
GPUHUNT = """\
instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size,provider
gpu_1x_a100,us-east-1,1.10,30,200,1,A100,40,False,512,lambdalabs
gpu_8x_h100,us-east-1,23.92,208,1800,8,H100,80,False,512,lambdalabs
gpu_8x_h100,us-east-1,9.00,208,1800,8,H100,80,True,512,lambdalabs
cpu,us-east-1,1.0,4,16,0,,,False,10,lambdalabs
"""
EC2 = [
    {
        "instance_type": "p5.48xlarge", "GPU": 8, "GPU_model": "NVIDIA H100",
        "pricing": {
            "us-east-1": {
                "linux": {
                    "ondemand": "98.32", "spot_avg": "40.0", "spot_min": "39.0",
                    "reserved": {
                        "yrTerm1Standard.noUpfront": "62.0", "yrTerm1Standard.allUpfront": "58.0",
                        "yrTerm3Standard.partialUpfront": "40.0", "yrTerm1Savings.noUpfront": "63.0",
                    },
                },
                "mswin": {"ondemand": "130"},
            },
            "us-gov-west-1": {"linux": {"ondemand": "120.0"}},
        },
    },
    {"instance_type": "m5.large", "GPU": 0, "pricing": {"us-east-1": {"linux": {"ondemand": "0.1"}}}},
]  # fmt: skip
GCOSTS = {
    "about": {"timestamp": 1741233236},
    "compute": {
        "instance": {
            "a2-highgpu-2g": {
                "a100": 2,
                "cost": {
                    "us-central1": {"hour": 7.34677, "hour_spot": 2.58671, "month": 5363.1, "month_1y": 3378.7422784, "month_3y": 1877.134},
                    "us-x": {"hour": 7.3, "hour_spot": 8.1, "month_1y": 5329.0},
                },
            },
            "n2-standard-2": {"cost": {"us-central1": {"hour": 0.1}}},
        }
    },
}  # fmt: skip
AZURE_ITEM = {
    "currencyCode": "USD", "retailPrice": 98.32, "armRegionName": "eastus", "armSkuName": "Standard_ND96isr_H100_v5",
    "productName": "Virtual Machines NDsr H100 v5 Series", "skuName": "ND96isr H100 v5", "meterName": "ND96isr H100 v5",
    "type": "Consumption", "unitOfMeasure": "1 Hour",
}  # fmt: skip
LITELLM = {
    "sample_spec": {"litellm_provider": "one of"},
    "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
               "cache_read_input_token_cost": 1.25e-06, "deprecation_date": "2027-03-31"},
    "free": {"litellm_provider": "x", "input_cost_per_token": 0},
}  # fmt: skip
